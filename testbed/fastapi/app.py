"""A FastAPI application as the gateway's users write them, for tests.

Its tags say what the gateway exposes and protects. Answers tell what has
arrived, so that a test sees what a gateway in between has changed. All of them
have the header X-Service, which tells them from the gateway's own.

SHOP_RELEASE=2 is a later release, which clients of the first do not all get
along with.
"""

import asyncio
import enum
import gzip
import hashlib
import os
import tempfile

from fastapi import Body, Cookie, FastAPI, File, Form, Header, Query, Request, Response, UploadFile, WebSocket
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel, Field

RELEASE = os.environ.get("SHOP_RELEASE", "1")

app = FastAPI(
    title="Shop",
    version=RELEASE,
    openapi_tags=[
        {"name": "shop", "description": "For all.", "x-auto-generate-in-api-gateway": True},
        {
            "name": "members",
            "description": "For those who say who they are.",
            "x-auto-generate-in-api-gateway": True,
            "x-enable-auth-in-api-gateway": True,
        },
        {"name": "files", "x-auto-generate-in-api-gateway": "true", "x-large-file": True},
        {"name": "inside", "description": "Not for the gateway."},
        {"name": "off", "x-auto-generate-in-api-gateway": False, "x-enable-auth-in-api-gateway": True},
    ],
)


@app.middleware("http")
async def signed(request: Request, call_next):
    response = await call_next(request)
    response.headers["X-Service"] = "shop"
    return response


class Kind(str, enum.Enum):
    small = "small"
    large = "large"


class Size(BaseModel):
    width: float = 1.5
    height: float | None = None


class Item(BaseModel):
    name: str = Field(min_length=1, examples=["pen"])
    price: float
    kind: Kind = Kind.small
    size: Size | None = None
    tags: list[str] = []


def arrived(request: Request, **more):
    """What of a request a gateway could have changed."""
    return {
        "method": request.method,
        "path": request.scope["raw_path"].decode("latin-1"),
        "query": request.scope["query_string"].decode("latin-1"),
        **more,
    }


# Items: several methods of a path, parameters of every kind, nested bodies.


@app.get("/items/", tags=["shop"])
async def list_items(
    request: Request,
    limit: int = 10,
    kind: Kind = Kind.small,
    sold: bool = False,
    order: str = "name",
    tag: list[str] = Query([]),
    item_id: str | None = Query(None, alias="item-id"),
):
    return arrived(request, limit=limit, kind=kind, sold=sold, order=order, tag=tag, item_id=item_id)


@app.post("/items/", tags=["shop"], status_code=201)
async def add_item(item: Item):
    return item


@app.get("/items/newest", tags=["shop"])
async def newest_item(request: Request):
    return arrived(request, newest=True)


@app.get("/items/{item_id}", tags=["shop"])
async def get_item(request: Request, item_id: int):
    return arrived(request, item_id=item_id)


@app.put("/items/{item_id}", tags=["shop"])
async def put_item(item_id: int, item: Item):
    return {"item_id": item_id, "item": item}


if RELEASE == "1":

    @app.delete("/items/{item_id}", tags=["shop"], status_code=204)
    async def delete_item(item_id: int):
        return Response(status_code=204)


@app.post("/numbers", tags=["shop"])
async def add_numbers(numbers: list[int]):
    return sum(numbers)


@app.get("/names/{name}", tags=["shop"])
async def get_name(request: Request, name: str):
    return arrived(request, name=name)


@app.get("/search", tags=["shop"])
async def search(q: str = "all" if RELEASE == "1" else Query(...)):
    return {"q": q}


# What is protected.


@app.get("/secure/", tags=["members"])
async def get_secure(authorization: str | None = Header(None)):
    return {"authorization": authorization}


@app.post("/secure/{item_id}", tags=["members"])
async def post_secure(item_id: int, item: Item):
    return {"item_id": item_id, "item": item}


# What is not for the gateway, and what the first tag that is declared decides.


@app.get("/hidden/untagged")
async def untagged():
    return "untagged"


@app.get("/hidden/inside", tags=["inside"])
async def inside():
    return "inside"


@app.get("/hidden/off", tags=["off"])
async def off():
    return "off"


@app.get("/hidden/undeclared", tags=["nowhere"])
async def undeclared():
    return "undeclared"


@app.get("/hidden/second", tags=["inside", "shop"])
async def second():
    return "second"


@app.get("/mixed", tags=["nowhere", "shop"])
async def get_mixed():
    return "mixed"


@app.post("/mixed", tags=["inside"])
async def post_mixed():
    return "hidden"


# Bodies as they are.


@app.post("/raw", tags=["shop"], openapi_extra={"requestBody": {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}})
@app.patch("/raw", tags=["shop"], openapi_extra={"requestBody": {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}})
async def raw(request: Request):
    return Response(await request.body(), media_type=None, headers={"Content-Type": request.headers.get("content-type", "none/none")})


@app.post("/upload", tags=["files"])
async def upload(file: UploadFile, more: list[UploadFile] = File([]), note: str = Form(...)):
    async def part(f):
        data = await f.read()
        return {"name": f.filename, "type": f.content_type, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    return {"file": await part(file), "more": [await part(f) for f in more], "note": note}


CONTENT = bytes(i * 7 % 256 for i in range(100_000))
folder = tempfile.TemporaryDirectory()
stored = os.path.join(folder.name, "stored")
with open(stored, "wb") as f:
    f.write(CONTENT)


@app.get("/download", tags=["files"])
async def download():
    return FileResponse(stored, filename="r\u00e9sum\u00e9 100%.zip", media_type="application/zip")


@app.get("/blob", tags=["files"])
async def blob():
    return Response(CONTENT, status_code=203, media_type="application/octet-stream", headers={"X-Blob": "kept", "Content-Disposition": 'attachment; filename="a.bin"'})


@app.post("/form", tags=["shop"])
async def form(user: str = Form(...), word: list[str] = Form([])):
    return {"user": user, "word": word}


# Fields.


@app.get("/cookies", tags=["shop"])
async def cookies(request: Request, response: Response, session: str | None = Cookie(None)):
    response.set_cookie("first", "1", httponly=True)
    response.set_cookie("second", "a%20b", path="/items")
    return {"session": session, "cookie": request.headers.get("cookie"), **arrived(request)}


@app.get("/headers", tags=["shop"])
async def headers(request: Request, x_number: int = Header(0)):
    fields = [[k.decode("latin-1"), v.decode("latin-1")] for k, v in request.scope["headers"]]
    return JSONResponse({"x_number": x_number, "fields": fields}, headers={"X-Answer": "kept", "Server": "shop/1", "Cache-Control": "no-store"})


# Answers that are not JSON, or none.


@app.get("/nothing", tags=["shop"], status_code=204)
async def nothing():
    return Response(status_code=204)


@app.get("/page", tags=["shop"], response_class=HTMLResponse)
async def page():
    return "<p>100%25 <b>HTML</b></p>"


@app.get("/untyped", tags=["shop"])
async def untyped():
    return Response(b"no type", media_type=None)


@app.get("/percent", tags=["shop"])
async def percent():
    return Response('{"text": "100%25, %22quoted%22, %7B%0A", "number": 1.0, "big": 12345678901234567890}', media_type="application/json")


@app.get("/packed", tags=["shop"])
async def packed():
    return Response(gzip.compress(b'{"packed": true}', mtime=0), media_type="application/json", headers={"Content-Encoding": "gzip"})


@app.get("/cached", tags=["shop"])
async def cached(request: Request):
    if request.headers.get("if-none-match") == '"1"':
        return Response(status_code=304, headers={"ETag": '"1"'})
    return Response("whole", media_type="text/plain", headers={"ETag": '"1"'})


@app.get("/status/{code}", tags=["shop"])
async def status(code: int):
    return JSONResponse({"detail": f"the service says {code}"}, status_code=code)


@app.get("/redirect/{to}", tags=["shop"], status_code=302)
async def redirect(request: Request, to: str):
    target = {"path": "/items/7?a=1", "whole": str(request.base_url) + "items/7?a=1", "other": "https://example.org/items/7"}[to]
    return RedirectResponse(target, status_code=302)


@app.head("/ping", tags=["shop"])
async def head_ping():
    return Response(headers={"X-Ping": "head"})


@app.options("/ping", tags=["shop"])
async def options_ping():
    return Response("options", media_type="text/plain", headers={"Allow": "HEAD, OPTIONS", "X-Ping": "options"})


@app.trace("/ping", tags=["shop"])
async def trace_ping():
    return Response("trace", media_type="text/plain")


# Streams: an event goes out when it is asked for, and no earlier.

steps: dict[str, asyncio.Queue] = {}


@app.get("/events/{key}", tags=["shop"])
async def events(key: str):
    queue = steps.setdefault(key, asyncio.Queue())

    async def told():
        yield "data: begun\n\n"
        while (event := await queue.get()) != "end":
            yield f"data: {event}\n\n"
        steps.pop(key, None)

    return StreamingResponse(told(), media_type="text/event-stream")


@app.post("/events/{key}", tags=["shop"])
async def tell(key: str, event: str = Body(..., embed=True)):
    await steps.setdefault(key, asyncio.Queue()).put(event)
    return True


@app.get("/echo", tags=["shop"], status_code=426)
async def echo_description():
    """A WebSocket is not in the document, so its handshake is."""
    return "This is a WebSocket."


@app.websocket("/echo")
async def echo(socket: WebSocket):
    await socket.accept(subprotocol="echo" if "echo" in socket.scope["subprotocols"] else None)
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                await socket.send_bytes(message["bytes"])
            else:
                await socket.send_text(f"{socket.scope['raw_path'].decode()} {message['text']}")
    except RuntimeError:
        return  # the other side has gone
