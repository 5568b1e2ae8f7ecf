// A member of HashiCorp's memberlist with its settings for a local network, for `cargo xtask bench-detect`.
//
//	memberlist-go [-alpha=N] NAME ADDRESS [ADDRESS OF A MEMBER THAT IS THERE]
//
// Alpha, the library's SuspicionMult, is 4 by its settings: a suspect may take alpha log10 N seconds to refute.
// What it sees is a line each, with the seconds since 1970: `joined NAME`, `dead NAME`, `event TEXT`; the library's own
// log, which tells of suspicions, stands between them. SIGUSR1 sends an event, which members pass on as Serf's do.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// The one event that is ever sent.
const event = "holdfast-bench"

func say(what, of string) {
	now := time.Now()
	fmt.Printf("%d.%03d %s %s\n", now.Unix(), now.Nanosecond()/1e6, what, of)
}

// events is told who comes and goes, and counts them.
type events struct{ members int64 }

func (e *events) NotifyJoin(node *memberlist.Node) {
	atomic.AddInt64(&e.members, 1)
	say("joined", node.Name)
}

func (e *events) NotifyLeave(node *memberlist.Node) {
	atomic.AddInt64(&e.members, -1)
	say("dead", node.Name)
}

func (*events) NotifyUpdate(*memberlist.Node) {}

// message is what is passed on; none takes the place of another.
type message []byte

func (message) Invalidates(memberlist.Broadcast) bool { return false }
func (m message) Message() []byte                     { return m }
func (message) Finished()                             {}

// delegate passes an event on the first time that it hears it.
type delegate struct {
	once  sync.Once
	queue *memberlist.TransmitLimitedQueue
}

func (d *delegate) NotifyMsg(bytes []byte) {
	heard := string(bytes)
	d.once.Do(func() {
		say("event", heard)
		d.queue.QueueBroadcast(message(heard))
	})
}

func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	return d.queue.GetBroadcasts(overhead, limit)
}

func (*delegate) NodeMeta(int) []byte           { return nil }
func (*delegate) LocalState(bool) []byte        { return nil }
func (*delegate) MergeRemoteState([]byte, bool) {}

// quiet drops what the library says for whoever debugs it, as `serf` does by itself.
type quiet struct{}

func (quiet) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("[DEBUG]")) {
		return len(line), nil
	}
	return os.Stdout.Write(line)
}

func main() {
	config := memberlist.DefaultLANConfig()
	flag.IntVar(&config.SuspicionMult, "alpha", config.SuspicionMult, "alpha log10 N seconds to refute a suspicion")
	flag.Parse()
	if flag.NArg() < 2 {
		log.Fatal("memberlist-go [-alpha=N] NAME ADDRESS [ADDRESS OF A MEMBER THAT IS THERE]")
	}
	host, port, err := net.SplitHostPort(flag.Arg(1))
	if err != nil {
		log.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		log.Fatal(err)
	}
	config.Name = flag.Arg(0)
	config.BindAddr, config.BindPort = host, number
	config.AdvertiseAddr, config.AdvertisePort = host, number
	config.LogOutput = quiet{}
	known := &events{}
	config.Events = known
	passes := &delegate{queue: &memberlist.TransmitLimitedQueue{
		NumNodes:       func() int { return int(atomic.LoadInt64(&known.members)) },
		RetransmitMult: config.RetransmitMult,
	}}
	config.Delegate = passes
	list, err := memberlist.Create(config)
	if err != nil {
		log.Fatal(err)
	}
	for _, there := range flag.Args()[2:] {
		for {
			if _, err := list.Join([]string{there}); err == nil {
				break
			}
			time.Sleep(time.Second)
		}
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	for range asked {
		passes.NotifyMsg([]byte(event))
	}
}
