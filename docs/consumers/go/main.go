// Prints every event of `events` as one line of JSON, each field in the schema's order. Copy it.
//
// Usage: events BOOTSTRAP_SERVERS REGISTRY_URL [TOPIC [COUNT]]; without COUNT it goes on for ever.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math/big"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

func main() {
	topic, count := "events", int64(-1)
	if len(os.Args) > 3 {
		topic = os.Args[3]
	}
	if len(os.Args) > 4 {
		count = must(strconv.ParseInt(os.Args[4], 10, 64))
	}
	client := must(kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Args[1], ",")...),
		kgo.ConsumerGroup("example-go"),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		// Without it franz-go reads what was never committed.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	))
	defer client.Close()
	decoder := decoder{must(sr.NewClient(sr.URLs(os.Args[2]))), map[int]avro.Schema{}}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for count != 0 {
		fetches := client.PollFetches(context.Background())
		fetches.EachError(func(topic string, partition int32, err error) {
			log.Fatalf("%s-%d: %v", topic, partition, err)
		})
		fetches.EachRecord(func(record *kgo.Record) {
			if count != 0 {
				count--
				schema, event := decoder.decode(record.Value)
				fmt.Fprintln(out, line(schema, event))
			}
		})
		out.Flush()
	}
}

type decoder struct {
	registry *sr.Client
	schemas  map[int]avro.Schema
}

// decode returns amounts as *big.Rat and times as time.Time.
func (d decoder) decode(value []byte) (avro.Schema, any) {
	var header sr.ConfluentHeader
	id, record, err := header.DecodeID(value)
	check(err)
	if d.schemas[id] == nil {
		d.schemas[id] = must(avro.Parse(must(d.registry.SchemaByID(context.Background(), id)).Schema))
	}
	var event any
	check(avro.Unmarshal(d.schemas[id], record, &event))
	return d.schemas[id], event
}

func line(schema avro.Schema, value any) string {
	var text strings.Builder
	write(&text, schema, value)
	return text.String()
}

// write follows the schema, because a map has no order.
func write(text *strings.Builder, schema avro.Schema, value any) {
	switch schema := schema.(type) {
	case *avro.RefSchema:
		write(text, schema.Schema(), value)
	case *avro.UnionSchema:
		writeNullable(text, schema.Types()[1], value)
	case *avro.RecordSchema:
		fields := value.(map[string]any)
		between := "{"
		for _, field := range schema.Fields() {
			text.WriteString(between + quoted(field.Name()) + ":")
			write(text, field.Type(), fields[field.Name()])
			between = ","
		}
		text.WriteString("}")
	case *avro.ArraySchema:
		between := ""
		text.WriteString("[")
		for _, item := range value.([]any) {
			text.WriteString(between)
			write(text, schema.Items(), item)
			between = ","
		}
		text.WriteString("]")
	case *avro.PrimitiveSchema:
		text.WriteString(plain(schema, value))
	}
}

func writeNullable(text *strings.Builder, schema avro.Schema, value any) {
	if value == nil {
		text.WriteString("null")
		return
	}
	// hamba wraps a record in a map from the record's name.
	if wrapped, ok := value.(map[string]any); ok {
		for _, value = range wrapped {
		}
	}
	write(text, schema, value)
}

func plain(schema *avro.PrimitiveSchema, value any) string {
	switch value := value.(type) {
	case *big.Rat:
		return quoted(value.FloatString(schema.Logical().(*avro.DecimalLogicalSchema).Scale()))
	case time.Time:
		return quoted(value.UTC().Format("2006-01-02T15:04:05.000000Z"))
	case string:
		return quoted(value)
	default:
		return fmt.Sprint(value)
	}
}

var unescaped = strings.NewReplacer(`\\`, `\\`, `\u2028`, "\u2028", `\u2029`, "\u2029")

// quoted leaves as they are what JSON lets stand.
func quoted(value string) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	check(encoder.Encode(value))
	return unescaped.Replace(strings.TrimSuffix(text.String(), "\n"))
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
