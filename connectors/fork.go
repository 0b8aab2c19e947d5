package connectors

import "slices"

// Fork returns a probe for one of several servers that a connector reaches at
// the same time. It has a stage, an address and findings of its own, and its
// connections end with those of p. Explain tells its errors, Adopt takes its
// findings over.
func (p *Probe) Fork() *Probe {
	child := newProbe(p.Env)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stops = append(p.stops, func() bool { child.close(); return true })
	return child
}

// Adopt takes over the stages and findings of a fork that has ended. Of several
// forks, the last one adopted gives the stages; warnings add up without
// repetition, and latency ends with the last verifying reply of any.
func (p *Probe) Adopt(child *Probe) {
	child.mu.Lock()
	defer child.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stage, p.stageStart = child.stage, child.stageStart
	p.address, p.first = child.address, slices.Clone(child.first)
	if child.verified.After(p.verified) {
		p.verified = child.verified
	}
	r := child.report
	p.report.Steps = slices.Clone(r.Steps)
	p.report.Address, p.report.TLS = r.Address, r.TLS
	if p.report.ServerVersion == "" {
		p.report.ServerVersion = r.ServerVersion
	}
	for _, w := range r.Warnings {
		if !slices.Contains(p.report.Warnings, w) {
			p.report.Warnings = append(p.report.Warnings, w)
		}
	}
}

// Explain is the Failure that err amounts to, with the stage of this probe. A
// connector needs it only for forks: Run explains what Test returns.
func (p *Probe) Explain(err error) *Failure {
	f := *classify(err, p)
	if f.Stage == "" {
		f.Stage = p.Stage()
	}
	if f.Phrase == "" {
		f.Phrase = phrases[f.Code]
	}
	return &f
}
