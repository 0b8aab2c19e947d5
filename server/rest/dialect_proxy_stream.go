package rest

import "net/http"

// logStreamPath is where the log is followed over a WebSocket.
const logStreamPath = proxyPrefix + "/maxscale/logs/stream"

func (f *facade) serveLogStream(w http.ResponseWriter, _ *http.Request, _ *exchange) {
	w.Header().Set("Upgrade", "websocket")
	w.WriteHeader(http.StatusUpgradeRequired)
}
