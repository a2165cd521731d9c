// Ask for probabilities, rank, and say what was clicked:  go run docs/examples/predict.go http://127.0.0.1:8000
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

type request struct {
	Unit    string         `json:"unit,omitempty"`
	Context map[string]any `json:"context"`
	Items   []int          `json:"items"`
}

type prediction struct {
	RequestID     string    `json:"request_id"`
	Model         string    `json:"model"`
	Probabilities []float64 `json:"probabilities"`
	Fallback      bool      `json:"fallback"`
	Token         string    `json:"token"`
}

type event struct {
	RequestID string `json:"request_id"`
	Item      int    `json:"item"`
	Type      string `json:"type"`
	Token     string `json:"token,omitempty"`
}

// One client per process. The default keeps two idle connections per host: under load it would open new ones all the time.
var client = &http.Client{Transport: &http.Transport{
	MaxIdleConns:        64,
	MaxIdleConnsPerHost: 64,
	MaxConnsPerHost:     64,
	IdleConnTimeout:     60 * time.Second,
	DisableCompression:  true,
}}

// What the page can spare, for the whole call: connecting, sending, waiting, reading.
var deadline = 500 * time.Millisecond

// post sends a body and reads the answer whole, so that the connection can be used again.
func post(url string, body, answer any) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err = io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK { // application/problem+json: the detail says where and what
		return fmt.Errorf("HTTP %d: %s", response.StatusCode, content)
	}
	return json.Unmarshal(content, answer)
}

func predict(url string) error {
	user := map[string]any{"user_id": "42", "gender": "M", "age": 25, "occupation": 4, "zip_code": "94110"}
	var answer prediction
	if err := post(url+"/predict", request{"user-42", user, []int{1, 2, 3}}, &answer); err != nil {
		return err
	}
	fmt.Println(answer.Model, answer.Probabilities)
	clicked := []event{{answer.RequestID, 2, "impression", answer.Token}, {answer.RequestID, 2, "click", answer.Token}}
	var stored map[string]any
	return post(url+"/feedback", map[string]any{"events": clicked}, &stored)
}

func main() {
	if len(os.Args) > 2 {
		ms, _ := strconv.Atoi(os.Args[2])
		deadline = time.Duration(ms) * time.Millisecond
	}
	for i := 0; i < 3; i++ {
		if err := predict(os.Args[1]); err != nil { // rank by what you have, do not make the user wait
			fmt.Fprintln(os.Stderr, "no probabilities:", err)
			os.Exit(1)
		}
	}
}
