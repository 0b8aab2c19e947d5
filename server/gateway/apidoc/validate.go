package apidoc

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The JSON schemas of the OpenAPI Initiative (https://spec.openapis.org/).
var (
	//go:embed schemas/openapi-3.0.json
	schema30 []byte
	//go:embed schemas/openapi-3.1.json
	schema31 []byte
)

// official are the schemas of OpenAPI 3.0 and 3.1.
var official = [2]func() (*jsonschema.Schema, error){
	sync.OnceValues(func() (*jsonschema.Schema, error) { return compileSchema(schema30) }),
	sync.OnceValues(func() (*jsonschema.Schema, error) { return compileSchema(schema31) }),
}

func compileSchema(raw []byte) (*jsonschema.Schema, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	const address = "https://spec.openapis.org/schema"
	if err := c.AddResource(address, v); err != nil {
		return nil, err
	}
	return c.Compile(address)
}

// problem is something that makes a document invalid.
type problem struct {
	// section and name tell the component, or "paths" and a path; empty where
	// it is not known.
	section, name string
	// method is that of the operation, in upper case; empty for the path.
	method string
	text   string
}

var schemaRef = regexp.MustCompile(`"\$ref":"#/components/schemas/[^"]*"`)

// validate finds what is wrong with the structure of a document of OpenAPI 3.0
// or 3.1. It looks at each schema once, where it is defined, as the effort of
// following references grows with the square of a document; that they lead
// somewhere, and that examples and defaults fit, is seen to before.
func validate(minor int, raw []byte) (problems []problem) {
	defer func() {
		if r := recover(); r != nil {
			problems = []problem{{text: fmt.Sprintf("it cannot be read: %v", r)}}
		}
	}()
	if problems := againstSchema(minor, raw); len(problems) > 0 {
		return problems
	}
	raw = schemaRef.ReplaceAll(raw, []byte(`"$$ref":"#/components/schemas/`+probeSchema+`"`))
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return []problem{{text: err.Error()}}
	}
	err = doc.Validate(context.Background(), openapi3.DisableExamplesValidation(),
		openapi3.DisableSchemaDefaultsValidation(), openapi3.EnableMultiError())
	var all openapi3.MultiError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &all):
		for _, err := range all {
			problems = append(problems, problemOf(err))
		}
		return problems
	}
	return []problem{problemOf(err)}
}

// problemOf tells where an error of kin-openapi is.
func problemOf(err error) problem {
	p := problem{text: err.Error()}
	var component *openapi3.ComponentValidationError
	var path *openapi3.PathValidationError
	var parameters *openapi3.PathParametersError
	switch {
	case errors.As(err, &component):
		for _, s := range sections {
			if singular[s.kind] == component.Section {
				p.section, p.name, p.text = s.name, component.Name, component.Cause.Error()
			}
		}
	case errors.As(err, &path):
		p.section, p.name, p.text = "paths", path.Path, path.Cause.Error()
		var operation *openapi3.OperationValidationError
		if errors.As(err, &operation) {
			p.method, p.text = operation.Method, operation.Cause.Error()
		}
	case errors.As(err, &parameters):
		p.section, p.name, p.method = "paths", parameters.Path, parameters.Method
	}
	return p
}

// singular is what kin-openapi calls the components of a kind.
var singular = map[kind]string{
	kindSchema: "schema", kindParameter: "parameter", kindHeader: "header", kindRequestBody: "request body",
	kindResponse: "response", kindExample: "example", kindLink: "link", kindCallback: "callback",
}

// againstSchema checks a document against the official JSON schema.
func againstSchema(minor int, raw []byte) []problem {
	schema, err := official[minor]()
	if err != nil {
		return []problem{{text: err.Error()}}
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return []problem{{text: err.Error()}}
	}
	var invalid *jsonschema.ValidationError
	switch err := schema.Validate(v); {
	case err == nil:
		return nil
	case !errors.As(err, &invalid):
		return []problem{{text: err.Error()}}
	}
	found := map[problem]bool{}
	var problems []problem
	leaves(invalid, func(e *jsonschema.ValidationError) {
		p := located(e.InstanceLocation)
		key := p
		p.text = e.Error()
		if !found[key] && p.section != "" {
			found[key] = true
			problems = append(problems, p)
		}
	})
	if len(problems) == 0 {
		problems = []problem{{text: invalid.Error()}}
	}
	return problems
}

func leaves(e *jsonschema.ValidationError, visit func(*jsonschema.ValidationError)) {
	if len(e.Causes) == 0 {
		visit(e)
	}
	for _, cause := range e.Causes {
		leaves(cause, visit)
	}
}

// located is the part that a place of a document is in.
func located(at []string) problem {
	switch {
	case len(at) >= 3 && at[0] == "components":
		return problem{section: at[1], name: at[2]}
	case len(at) >= 3 && at[0] == "paths":
		p := problem{section: "paths", name: at[1]}
		if m := members[kindPathItem][at[2]]; m.kind == kindOperation {
			p.method = strings.ToUpper(at[2])
		}
		return p
	}
	return problem{}
}

// Validate tells what is wrong with a document of OpenAPI 3.0 or 3.1 as
// kin-openapi and the schemas of the OpenAPI Initiative see it: nothing with
// what Merge makes. Unlike Merge it may take long over what others wrote.
func Validate(raw []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the document cannot be read: %v", r)
		}
	}()
	d, err := Parse(raw)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range againstSchema(min(d.minor, 1), raw) {
		errs = append(errs, errors.New(strings.TrimSpace(strings.Join([]string{p.section, p.name, p.method}, " ")+": "+p.text)))
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, doc.Validate(context.Background()))...)
}
