package ftp

import (
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/backplane/backplane/connectors"
)

// sshLogin holds the ways to log in, in the order to try them, and what the
// server said about them.
type sshLogin struct {
	user    string
	methods []ssh.AuthMethod
	ours    []string
	allowed []string // by the server
	tried   []string
}

func (l *sshLogin) configure(c connectors.Config, env connectors.Env) error {
	key, err := signer(c, env)
	if err != nil {
		return err
	}
	if key != nil {
		l.methods = append(l.methods, ssh.PublicKeys(key))
		l.ours = append(l.ours, "publickey")
	}
	if password := c.String("password"); password != "" {
		l.methods = append(l.methods, ssh.Password(password), ssh.KeyboardInteractive(answer(password)))
		l.ours = append(l.ours, "password", "keyboard-interactive")
	}
	return nil
}

// answer gives the password to the first question whose answer is not shown,
// and nothing to any other: a later one may ask for a one-time code.
func answer(password string) ssh.KeyboardInteractiveChallenge {
	given := false
	return func(_, _ string, questions []string, shown []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i := range questions {
			if !shown[i] && !given {
				answers[i], given = password, true
			}
		}
		return answers, nil
	}
}

// watch notes what the server allows and leaves the choice to the library.
func (l *sshLogin) watch(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	l.allowed, l.tried = c.AllowedMethods, c.TriedMethods
	return nil, nil
}

func (l *sshLogin) failure(err error) error {
	offers := clip(strings.Join(l.allowed, ", "), 200)
	tried := slices.DeleteFunc(slices.Clone(l.tried), func(m string) bool { return m == "none" })
	if len(tried) == 0 && !slices.ContainsFunc(l.ours, func(m string) bool { return slices.Contains(l.allowed, m) }) {
		return &connectors.Failure{Code: connectors.AuthUnsupported, Detail: "the server offers " + offers, Err: err}
	}
	return &connectors.Failure{Code: connectors.AuthFailed, Err: err, Detail: "tried " + strings.Join(tried, ", "),
		Hint: "Check username and password or key. The server offers " + offers + "."}
}
