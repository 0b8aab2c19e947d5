package mariadbmon

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

// journalRefresh is how often the journal is written when nothing changes.
const journalRefresh = time.Minute

// journal keeps what was known for the next start.
type journal struct {
	path    string // "" for none
	written string // without the time
	at      time.Time
	failed  bool
}

// journalFile is what the file holds.
type journalFile struct {
	Version int             `json:"version"`
	Written time.Time       `json:"written"`
	Master  string          `json:"master,omitempty"`
	Domain  *uint32         `json:"gtid_domain,omitempty"`
	Follows bool            `json:"master_follows,omitempty"`
	Ring    bool            `json:"master_in_ring,omitempty"`
	Servers []journalServer `json:"servers"`
}

type journalServer struct {
	Name     string           `json:"name"`
	Status   dbproxy.Status   `json:"status"`
	ServerID int64            `json:"server_id,omitempty"`
	Events   []scheduledEvent `json:"events,omitempty"`
}

const journalVersion = 1

func journalPath(dir, name string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, url.PathEscape(name)+".monitor.json")
}

// keepJournal writes the journal when what it says has changed, and now and
// then.
func (m *Monitor) keepJournal() {
	if m.journal.path == "" {
		return
	}
	f := m.journalNow()
	text, err := json.Marshal(f)
	if err == nil && string(text) == m.journal.written && time.Since(m.journal.at) < journalRefresh {
		return
	}
	m.writeJournal()
}

func (m *Monitor) journalNow() journalFile {
	f := journalFile{Version: journalVersion, Follows: m.past.follows, Ring: m.past.ring, Servers: []journalServer{}}
	if m.master != none {
		f.Master = m.servers[m.master].srv.Name()
	}
	if m.domainKnown {
		f.Domain = &m.domain
	}
	for _, w := range m.servers {
		f.Servers = append(f.Servers, journalServer{w.srv.Name(), w.srv.Status(), w.obs.serverID, w.events})
	}
	return f
}

func (m *Monitor) writeJournal() {
	if m.journal.path == "" || m.ticks.Load() == 0 {
		return
	}
	f := m.journalNow()
	text, err := json.Marshal(f)
	if err == nil {
		m.journal.written, m.journal.at = string(text), time.Now()
		f.Written = m.journal.at
		if text, err = json.Marshal(f); err == nil {
			err = replaceFile(m.journal.path, text)
		}
	}
	if failed := err != nil; failed != m.journal.failed {
		m.journal.failed = failed
		if failed {
			m.log.Error("the monitor's journal cannot be written", "error", err)
		}
	}
}

// replaceFile writes a file that is there as a whole or not at all.
func replaceFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if failed := f.Close(); err == nil {
		err = failed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// restore begins with what was known before: by the journal, or else by the
// states that the servers have from another monitor of this proxy.
func (m *Monitor) restore() {
	if f, ok := m.readJournal(); ok {
		m.remember(f)
	}
	for i, w := range m.servers {
		if m.master == none && w.srv.Status().Has(dbproxy.Master) && w.srv.Info().ServerID != 0 {
			m.master, m.past.master = i, i
			w.obs.seen = true
		}
	}
}

func (m *Monitor) readJournal() (journalFile, bool) {
	if m.journal.path == "" {
		return journalFile{}, false
	}
	text, err := os.ReadFile(m.journal.path)
	if errors.Is(err, fs.ErrNotExist) {
		return journalFile{}, false
	}
	var f journalFile
	if err == nil {
		var names []string
		for _, w := range m.servers {
			names = append(names, w.srv.Name())
		}
		f, err = parseJournal(text, names, m.options.Params.Duration("journal_max_age"))
	}
	if err != nil {
		m.log.Info("the monitor's journal is not used", "reason", err)
		return f, false
	}
	return f, true
}

// parseJournal reads a journal that is young enough and about these servers.
func parseJournal(text []byte, names []string, age time.Duration) (journalFile, error) {
	var f journalFile
	if err := json.Unmarshal(text, &f); err != nil {
		return f, err
	}
	switch {
	case f.Version != journalVersion:
		return f, errors.New("it is of another version")
	case time.Since(f.Written) > age:
		return f, errors.New("it is too old")
	case !slices.EqualFunc(f.Servers, names, func(s journalServer, name string) bool { return s.Name == name }):
		return f, errors.New("it is about other servers")
	}
	return f, nil
}

// remember takes over a journal. A server of which nothing is known yet gets
// the states, too, that administrators gave it.
func (m *Monitor) remember(f journalFile) {
	const byHand = dbproxy.Maintenance | dbproxy.Draining
	for i, w := range m.servers {
		s := f.Servers[i]
		if s.Name == f.Master {
			m.master, m.past = i, past{master: i, follows: f.Follows, ring: f.Ring, elsewhere: none}
		}
		w.events = s.Events
		w.obs.serverID, w.obs.seen = s.ServerID, s.ServerID != 0
		if info := w.srv.Info(); info.ServerID == 0 && w.srv.Status() == dbproxy.Running {
			w.srv.SetStatus(s.Status&(roleBits|byHand), roleBits&^s.Status)
		}
	}
	if f.Domain != nil {
		m.domain, m.domainKnown = *f.Domain, true
	}
}
