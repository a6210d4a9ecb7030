// Sends one V1 and one V2 request with Go's default HTTP client.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

const (
	v1 = `{"instances": [[21.2, 18.9, 17.7, 17.1, 16.8, 0.17]]}`
	v2 = `{"inputs": [{"name": "x", "shape": [1, 6], "datatype": "FP64",
		"data": [21.2, 18.9, 17.7, 17.1, 16.8, 0.17]}]}`
)

func main() {
	post(os.Args[1]+"/v1/models/skyclass-spectroscopic:predict", v1)
	post(os.Args[1]+"/v2/models/skyclass-spectroscopic/infer", v2)
}

func post(url, body string) {
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
}
