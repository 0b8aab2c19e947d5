package requesttransformer

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/plugin/transform"
)

// maxParts bounds the parts of a body.
const maxParts = 10000

// parts are those of a multipart/form-data body, in their order.
type parts struct {
	boundary string
	list     []formPart
}

type formPart struct {
	name   string
	header textproto.MIMEHeader
	data   []byte
}

// parseParts reads a body. An empty one has no parts.
func parseParts(contentType string, body []byte) (*parts, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, err
	}
	p := &parts{boundary: params["boundary"]}
	if p.boundary == "" {
		return nil, errors.New("there is no boundary")
	}
	if len(body) == 0 {
		return p, nil
	}
	r := multipart.NewReader(bytes.NewReader(body), p.boundary)
	for {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		if len(p.list) == maxParts {
			return nil, errors.New("there are too many parts")
		}
		p.list = append(p.list, formPart{part.FormName(), part.Header, data})
	}
}

// encode writes the body.
func (p *parts) encode() []byte {
	var b bytes.Buffer
	for _, part := range p.list {
		b.WriteString("--" + p.boundary + "\r\n")
		for _, name := range slices.Sorted(maps.Keys(part.header)) {
			for _, v := range part.header[name] {
				b.WriteString(name + ": " + v + "\r\n")
			}
		}
		b.WriteString("\r\n")
		b.Write(part.data)
		b.WriteString("\r\n")
	}
	b.WriteString("--" + p.boundary + "--\r\n")
	return b.Bytes()
}

func simplePart(name string, data []byte) formPart {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "%0D", "\n", "%0A")
	return formPart{name, textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="` + escape.Replace(name) + `"`},
	}, data}
}

// Has implements transform.Target.
func (p *parts) Has(name string) bool {
	return slices.ContainsFunc(p.list, func(f formPart) bool { return f.name == name })
}

// Remove implements transform.Target.
func (p *parts) Remove(name string) {
	p.list = slices.DeleteFunc(p.list, func(f formPart) bool { return f.name == name })
}

// Rename implements transform.Target. Of a file its name and type are lost.
func (p *parts) Rename(name, to string) {
	p.Remove(to)
	for i := range p.list {
		if p.list[i].name == name {
			p.list[i] = simplePart(to, p.list[i].data)
		}
	}
}

// Set implements transform.Target.
func (p *parts) Set(e *transform.Edit) {
	p.Remove(e.Name)
	p.Append(e)
}

// Append implements transform.Target.
func (p *parts) Append(e *transform.Edit) {
	p.list = append(p.list, simplePart(e.Name, []byte(e.Value)))
}
