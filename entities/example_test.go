package entities_test

import (
	"fmt"
	"testing/fstest"

	"github.com/keyhitch/keyhitch/entities"
)

var demoHome = fstest.MapFS{
	"entities/widget/action.json": {Data: []byte(`{"actions":[{
		"name":"createWidget", "protocol":"REST", "method":"POST", "schema":"schema.json",
		"entitypath":"{base_path}/{version}/widgets/{pathv1}?{query}",
		"responseObjects":[{"type":"default","key":"result"}]}]}`)},
	"entities/widget/schema.json": {Data: []byte(`{"type":"object", "dynamicfields":true, "properties":{
		"widgetName":{"type":"string", "external_name":"label"}}}`)},
}

func ExampleLoad() {
	set, err := entities.Load(demoHome)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = set.Action("widget", "creatWidget")
	fmt.Println(set.Entities(), err)
	// Output: [widget] no action "creatWidget" in entity widget; did you mean createWidget?
}

func ExampleAction_Target() {
	set, _ := entities.Load(demoHome)
	create, _ := set.Action("widget", "createWidget")
	path, query, err := create.Target(entities.Target{
		BasePath: "/api", Version: "v2", PathVars: []any{"a b/c"}, Query: entities.Object{{Name: "label", Value: "x y&z"}},
	})
	fmt.Println(path, query, err)
	// Output: /api/v2/widgets/a%20b%2Fc label=x%20y%26z <nil>
}

func ExampleSchema_MapRequest() {
	set, _ := entities.Load(demoHome)
	create, _ := set.Action("widget", "createWidget")
	schema, _ := create.Request()
	out, _ := schema.MapRequest(create.Name, entities.Object{{Name: "extra", Value: true}, {Name: "widgetName", Value: "w1"}})
	body, _ := entities.Encode(create.RequestType, out)
	fmt.Println(string(body))

	_, err := schema.MapRequest(create.Name, map[string]any{"widgetName": 7})
	fmt.Println(err)
	// Output:
	// {"label":"w1","extra":true}
	// /widgetName: is number, want string
}

func ExampleSchema_MapResponse() {
	set, _ := entities.Load(demoHome)
	create, _ := set.Action("widget", "createWidget")
	answer, _ := entities.Decode(create.ResponseType, []byte(`{"result":{"id":7,"label":"w"}}`))
	key, _ := create.ResponseKey(entities.CallShape{HasBody: true})
	part, _ := key.Select(answer)
	schema, _ := create.Response()
	fmt.Println(schema.MapResponse(create.Name, part))
	// Output: map[id:7 widgetName:w] <nil>
}
