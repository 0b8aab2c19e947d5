package apidoc

import "strings"

// kind is what a part of an OpenAPI document is. It tells references apart from
// data that merely looks like one, as examples may.
type kind int

const (
	kindPathItem kind = iota + 1
	kindOperation
	kindParameter
	kindHeader
	kindRequestBody
	kindMediaType
	kindEncoding
	kindResponse
	kindResponses
	kindExample
	kindLink
	kindCallback
	kindSchema
	kindDiscriminator
	kindXML
	kindExternalDocs
)

// sections are the members of "components" that have parts of a kind, in the
// order in which the merged document has them. Path items, which OpenAPI 3.1
// has too, are put in place: not all readers know them there.
var sections = []struct {
	name string
	kind kind
}{
	{"schemas", kindSchema},
	{"responses", kindResponse},
	{"parameters", kindParameter},
	{"examples", kindExample},
	{"requestBodies", kindRequestBody},
	{"headers", kindHeader},
	{"links", kindLink},
	{"callbacks", kindCallback},
}

func sectionOf(k kind) string {
	for _, s := range sections {
		if s.kind == k {
			return s.name
		}
	}
	return ""
}

// form is how a member holds its parts or data.
type form int

const (
	one form = iota
	list
	named
	// What follows is data, which is copied as it is.
	anything
	text
	flag
	number
	count
	texts
	values
	record
)

// member is what a member of an object may be.
type member struct {
	form form
	kind kind
}

// members are those that the objects of OpenAPI 3.0 and 3.1 have; names that
// begin with x- are allowed everywhere but where names are given by users.
// "tags", "operationId", "security" and "servers" are missing: the merged
// document has its own.
var members = map[kind]map[string]member{
	kindPathItem: {
		"summary": {form: text}, "description": {form: text}, "parameters": {list, kindParameter},
		"get": {one, kindOperation}, "put": {one, kindOperation}, "post": {one, kindOperation},
		"delete": {one, kindOperation}, "options": {one, kindOperation}, "head": {one, kindOperation},
		"patch": {one, kindOperation}, "trace": {one, kindOperation},
	},
	kindOperation: {
		"summary": {form: text}, "description": {form: text}, "externalDocs": {one, kindExternalDocs},
		"parameters": {list, kindParameter}, "requestBody": {one, kindRequestBody},
		"responses": {one, kindResponses}, "callbacks": {named, kindCallback}, "deprecated": {form: flag},
	},
	kindParameter: {
		"name": {form: text}, "in": {form: text}, "description": {form: text}, "required": {form: flag},
		"deprecated": {form: flag}, "allowEmptyValue": {form: flag}, "style": {form: text}, "explode": {form: flag},
		"allowReserved": {form: flag}, "schema": {one, kindSchema}, "content": {named, kindMediaType},
		"example": {form: anything}, "examples": {named, kindExample},
	},
	kindHeader: {
		"description": {form: text}, "required": {form: flag}, "deprecated": {form: flag}, "style": {form: text},
		"explode": {form: flag}, "schema": {one, kindSchema}, "content": {named, kindMediaType},
		"example": {form: anything}, "examples": {named, kindExample},
	},
	kindRequestBody: {
		"description": {form: text}, "content": {named, kindMediaType}, "required": {form: flag},
	},
	kindMediaType: {
		"schema": {one, kindSchema}, "example": {form: anything}, "examples": {named, kindExample},
		"encoding": {named, kindEncoding},
	},
	kindEncoding: {
		"contentType": {form: text}, "headers": {named, kindHeader}, "style": {form: text},
		"explode": {form: flag}, "allowReserved": {form: flag},
	},
	kindResponse: {
		"description": {form: text}, "headers": {named, kindHeader}, "content": {named, kindMediaType},
		"links": {named, kindLink},
	},
	kindExample: {
		"summary": {form: text}, "description": {form: text}, "value": {form: anything}, "externalValue": {form: text},
	},
	kindLink: {
		"operationRef": {form: text}, "operationId": {form: text}, "parameters": {form: record},
		"requestBody": {form: anything}, "description": {form: text},
	},
	kindDiscriminator: {"propertyName": {form: text}, "mapping": {form: record}},
	kindXML: {
		"name": {form: text}, "namespace": {form: text}, "prefix": {form: text}, "attribute": {form: flag},
		"wrapped": {form: flag},
	},
	kindExternalDocs: {"description": {form: text}, "url": {form: text}},
	kindSchema: {
		"title": {form: text}, "multipleOf": {form: number}, "maximum": {form: number}, "minimum": {form: number},
		"exclusiveMaximum": {form: anything}, "exclusiveMinimum": {form: anything},
		"maxLength": {form: count}, "minLength": {form: count}, "pattern": {form: text},
		"maxItems": {form: count}, "minItems": {form: count}, "uniqueItems": {form: flag},
		"maxProperties": {form: count}, "minProperties": {form: count}, "required": {form: texts},
		"enum": {form: values}, "type": {form: anything}, "not": {one, kindSchema}, "allOf": {list, kindSchema},
		"oneOf": {list, kindSchema}, "anyOf": {list, kindSchema}, "items": {one, kindSchema},
		"properties": {named, kindSchema}, "additionalProperties": {one, kindSchema}, "description": {form: text},
		"format": {form: text}, "default": {form: anything}, "nullable": {form: flag},
		"discriminator": {one, kindDiscriminator}, "readOnly": {form: flag}, "writeOnly": {form: flag},
		"example": {form: anything}, "externalDocs": {one, kindExternalDocs}, "deprecated": {form: flag},
		"xml": {one, kindXML},
	},
}

// newerKeywords are those that schemas have since OpenAPI 3.1.
var newerKeywords = map[string]member{
	"const": {form: anything}, "examples": {form: values}, "$comment": {form: text},
	"if": {one, kindSchema}, "then": {one, kindSchema}, "else": {one, kindSchema},
	"prefixItems": {list, kindSchema}, "contains": {one, kindSchema}, "minContains": {form: count},
	"maxContains": {form: count}, "patternProperties": {named, kindSchema}, "dependentSchemas": {named, kindSchema},
	"dependentRequired": {form: record}, "propertyNames": {one, kindSchema}, "unevaluatedItems": {one, kindSchema},
	"unevaluatedProperties": {one, kindSchema}, "contentMediaType": {form: text}, "contentEncoding": {form: text},
	"contentSchema": {one, kindSchema},
}

// scoping are the keywords that tell what references within a schema mean. The
// merged document has none: what is referred to becomes a component.
var scoping = map[string]bool{
	"$id": true, "$schema": true, "$anchor": true, "$dynamicAnchor": true, "$dynamicRef": true,
	"$recursiveAnchor": true, "$recursiveRef": true, "$vocabulary": true, "$defs": true, "definitions": true,
}

// memberOf is what a member of an object that was built is; of no kind if it is
// data.
func memberOf(k kind, key string) member {
	switch {
	case strings.HasPrefix(key, "x-") && k != kindSchema:
		return member{form: anything}
	case k == kindResponses:
		return member{one, kindResponse}
	case k == kindCallback:
		return member{one, kindPathItem}
	}
	m, known := members[k][key]
	if !known && k == kindSchema {
		m = newerKeywords[key]
	}
	return m
}

// each visits the parts that a member has, and puts in their place what comes
// of that.
func (m member) each(v any, visit func(k kind, v any) any) any {
	if m.kind == 0 {
		return v
	}
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = visit(m.kind, e)
		}
		return out
	case *object:
		if m.form != named {
			return visit(m.kind, v)
		}
		out := newObject()
		for _, name := range v.keys {
			out.set(name, visit(m.kind, v.values[name]))
		}
		return out
	}
	return v
}
