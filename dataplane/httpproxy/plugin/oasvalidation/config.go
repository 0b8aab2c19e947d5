// Package oasvalidation is the plugin oas-validation: requests and responses are
// checked against an OpenAPI document. What passes is passed on as it is: no
// default is filled in, and nothing is taken out.
package oasvalidation

import (
	"errors"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// maxSpec bounds documents, in bytes.
const maxSpec = 16 << 20

// Module is the plugin. It is run after what authenticates and limits requests,
// and before what changes them.
func Module() httpproxy.PluginModule {
	return httpproxy.PluginModule{Name: "oas-validation", Version: "3.10.0", Priority: 850, Config: configSchema(), New: newPlugin}
}

func configSchema() schema.Record {
	return schema.Record{Name: "oas-validation", Fields: append(kongFields(), ownFields()...), Checks: []schema.Check{{
		Needs: []string{"api_spec", "api_spec_encoded", "custom_base_path", "include_base_path"},
		Func: func(record map[string]any, report func(field, message string)) {
			c := config{}
			c.APISpec, _ = record["api_spec"].(string)
			c.APISpecEncoded, _ = record["api_spec_encoded"].(bool)
			c.IncludeBasePath, _ = record["include_base_path"].(bool)
			c.CustomBasePath, _ = record["custom_base_path"].(string)
			if _, err := load(&c); err != nil {
				report("api_spec", err.Error())
			}
		},
	}}}
}

// kongFields are the fields that Kong's plugin has.
func kongFields() []schema.Field {
	flag := func(name string, byDefault bool, description string) schema.Field {
		return schema.Field{Name: name, Type: schema.Boolean, Required: true, Default: byDefault, Description: description}
	}
	return []schema.Field{
		{Name: "api_spec", Type: schema.String, Required: true, MaxLen: maxSpec,
			Description: "The OpenAPI document, 3.0 or 3.1, as JSON or YAML. References within it are followed, others are refused. " +
				"Its security requirements are left to the plugins that authenticate."},
		flag("api_spec_encoded", true, "Whether the document may be URI-encoded. One that is not is read as it is."),
		flag("verbose_response", false, "Whether answers tell what is wrong."),
		flag("validate_request_body", true, "Whether bodies of requests are checked: JSON, urlencoded and multipart forms. "+
			"Other types are only checked for being allowed, and are not held back."),
		flag("validate_request_header_params", true, "Whether header and cookie parameters are checked."),
		flag("validate_request_query_params", true, "Whether query parameters are checked."),
		flag("validate_request_uri_params", true, "Whether path parameters are checked."),
		flag("validate_response_body", false, "Whether bodies of responses of the upstream are checked: JSON with a status and a "+
			"type that the document has. Answers to HEAD, 204, 206, 304 and what is longer than max_body or compressed in "+
			"another way than gzip or deflate pass unchecked."),
		flag("notify_only_request_validation_failure", false, "Whether requests that are wrong pass, and are only logged."),
		flag("notify_only_response_body_validation_failure", false, "Whether responses that are wrong pass, and are only logged."),
		flag("query_parameter_check", false, "Whether query parameters that the document does not have are refused."),
		flag("header_parameter_check", false, "Whether header fields that the document does not have are refused."),
		{Name: "allowed_header_parameters", Type: schema.String, MinLen: -1, Default: "Host,Content-Type,User-Agent,Accept,Content-Length",
			Description: "Names of header fields, with commas between them, that header_parameter_check lets pass."},
		flag("include_base_path", false, "Whether the paths of the document begin with those of its servers."),
		{Name: "custom_base_path", Type: schema.String, Check: schema.Path,
			Description: "What they begin with in the place of that, with include_base_path."},
		flag("collect_all_errors", false, "Whether all faults are looked for, up to 100, and not only the first."),
	}
}

// ownFields are the fields that Kong's plugin does not have.
func ownFields() []schema.Field {
	return []schema.Field{
		{Name: "prefix", Type: schema.String, Check: schema.Path,
			Description: "What is taken off the path of a request before it is looked for in the document, such as `/users`."},
		{Name: "detail_errors", Type: schema.Boolean, Required: true, Default: false,
			Description: "Whether faults of requests are answered with 422 and a list under `detail`, as FastAPI 0.88 does, and those " +
				"of responses with 502."},
		{Name: "coercion", Type: schema.String, Required: true, Default: "strict", OneOf: []any{"strict", "pydantic"},
			Description: "How values are read: `strict` goes by the document alone; `pydantic` lets pass what pydantic 1 takes as well: " +
				"numbers and booleans in strings, null for what is not required, any format."},
		{Name: "max_body", Type: schema.Integer, Required: true, Default: 1 << 20, Between: schema.Between(1, 1<<30),
			Description: "How many bytes of a body are held in memory to be checked, before and after decompression. A multipart " +
				"body counts as a whole, with the files in it, whose content is not looked at."},
		{Name: "on_large_body", Type: schema.String, Required: true, Default: "refuse", OneOf: []any{"refuse", "pass"},
			Description: "What becomes of requests with a longer body: 413, or they pass unchecked, without being held back."},
		{Name: "unknown_operation", Type: schema.String, Required: true, Default: "pass", OneOf: []any{"pass", "refuse"},
			Description: "What becomes of requests for paths and methods that the document does not have: they pass, or 404 and 405. " +
				"HEAD is had by what has GET."},
	}
}

// config is the configuration.
type config struct {
	APISpec                 string `json:"api_spec"`
	APISpecEncoded          bool   `json:"api_spec_encoded"`
	VerboseResponse         bool   `json:"verbose_response"`
	ValidateBody            bool   `json:"validate_request_body"`
	ValidateHeader          bool   `json:"validate_request_header_params"`
	ValidateQuery           bool   `json:"validate_request_query_params"`
	ValidatePath            bool   `json:"validate_request_uri_params"`
	ValidateResponse        bool   `json:"validate_response_body"`
	NotifyOnlyRequest       bool   `json:"notify_only_request_validation_failure"`
	NotifyOnlyResponse      bool   `json:"notify_only_response_body_validation_failure"`
	QueryCheck              bool   `json:"query_parameter_check"`
	HeaderCheck             bool   `json:"header_parameter_check"`
	AllowedHeaderParameters string `json:"allowed_header_parameters"`
	IncludeBasePath         bool   `json:"include_base_path"`
	CustomBasePath          string `json:"custom_base_path"`
	CollectAll              bool   `json:"collect_all_errors"`
	Prefix                  string `json:"prefix"`
	DetailErrors            bool   `json:"detail_errors"`
	Coercion                string `json:"coercion"`
	MaxBody                 int64  `json:"max_body"`
	OnLargeBody             string `json:"on_large_body"`
	UnknownOperation        string `json:"unknown_operation"`
}

// Check tells what is wrong with a document, as a configuration with it would be
// told.
func Check(spec string) error {
	if len(spec) > maxSpec {
		return errors.New("the document is too long")
	}
	_, err := load(&config{APISpec: spec})
	return err
}

// commaList is a list with commas between its elements, in lower case.
func commaList(s string) map[string]bool {
	names := map[string]bool{}
	for name := range strings.SplitSeq(s, ",") {
		names[strings.ToLower(strings.TrimSpace(name))] = true
	}
	return names
}
