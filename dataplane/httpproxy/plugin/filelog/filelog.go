// Package filelog is the plugin file-log: it writes a line of JSON to a file for
// each request.
package filelog

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/logrecord"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Module is the kind of plugin.
func Module() httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: "file-log", Version: "3.10.0", Priority: 9, New: newPlugin,
		Config: schema.Record{Name: "file-log", Fields: []schema.Field{
			{Name: "path", Type: schema.String, Required: true, Match: `^[^*&%%\` + "`" + `]+$`, Check: schema.Text(path)},
			schema.Bool("reopen", false),
			logrecord.FieldsSchema(),
		}},
	}
}

func path(s string) error {
	if strings.TrimSpace(s) != s || strings.ContainsAny(s, "*&%\\`\x00") {
		return errors.New("not a valid filename")
	}
	return nil
}

// files are the open files, which instances with the same path share.
type files struct {
	mu   sync.Mutex
	open map[string]*file
}

// file is a file that lines are appended to.
type file struct {
	path string
	uses int // files.mu guards it

	mu     sync.Mutex
	file   *os.File
	failed bool // the last time
}

// plugin is an instance.
type plugin struct {
	file       *file
	files      *files
	reopen     bool
	custom     *logrecord.Fields
	serializer *logrecord.Serializer
	log        *slog.Logger
	buffers    sync.Pool
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	var c struct {
		Path   string            `json:"path"`
		Reopen bool              `json:"reopen"`
		Custom map[string]string `json:"custom_fields_by_lua"`
	}
	if err := json.Unmarshal(o.Config, &c); err != nil {
		return nil, err
	}
	all := o.Host.Shared("file-log", func() any { return &files{open: map[string]*file{}} }).(*files)
	return &plugin{
		file: all.take(c.Path), files: all, reopen: c.Reopen, log: o.Log, custom: logrecord.NewFields(c.Custom, o.Log),
		serializer: new(logrecord.Serializer), buffers: sync.Pool{New: func() any { return new([]byte) }},
	}, nil
}

func (f *files) take(path string) *file {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.open[path]
	if at == nil {
		at = &file{path: path}
		f.open[path] = at
	}
	at.uses++
	return at
}

// Close implements io.Closer.
func (p *plugin) Close() error {
	p.files.mu.Lock()
	defer p.files.mu.Unlock()
	if p.file.uses--; p.file.uses > 0 {
		return nil
	}
	delete(p.files.open, p.file.path)
	p.file.mu.Lock()
	defer p.file.mu.Unlock()
	return p.file.close()
}

// Log implements httpproxy.Logger.
func (p *plugin) Log(x *httpproxy.Exchange) {
	buf := p.buffers.Get().(*[]byte)
	defer p.buffers.Put(buf)
	line, err := p.serializer.Append((*buf)[:0], x, p.custom)
	if err != nil {
		p.log.Error("a request cannot be logged", "request_id", x.ID, "error", err)
		return
	}
	*buf = append(line, '\n')
	x.Outside(func() { p.write(*buf) }) // disks may be slow
}

func (p *plugin) write(line []byte) {
	if first, err := p.file.write(line, p.reopen); err != nil && first {
		p.log.Error("requests cannot be logged", "path", p.file.path, "error", err)
	}
}

// writeTimeout is how long who reads a pipe that is logged to may take.
const writeTimeout = time.Second

// write appends a line. First tells that the line before could be written.
func (f *file) write(line []byte, reopen bool) (first bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first = !f.failed
	if err = f.ready(reopen); err == nil {
		_ = f.file.SetWriteDeadline(time.Now().Add(writeTimeout)) // ordinary files have none
		if _, err = f.file.Write(line); err != nil {
			_ = f.close() // it is opened again for the next line
		}
	}
	f.failed = err != nil
	return first, err
}

// ready opens the file. With reopen it is the one that has the name now, as
// somebody may have moved it.
func (f *file) ready(reopen bool) error {
	if f.file != nil && reopen {
		is, err := os.Stat(f.path)
		have, err2 := f.file.Stat()
		if err != nil || err2 != nil || !os.SameFile(is, have) {
			_ = f.close()
		}
	}
	if f.file != nil {
		return nil
	}
	// A pipe is not waited for that nobody reads.
	opened, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return err
	}
	f.file = opened
	return nil
}

func (f *file) close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}
