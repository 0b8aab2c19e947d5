package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/testbed"
)

const (
	// provisionGoal is how much longer a database may take through Backplane
	// than by the same SQL.
	provisionGoal = 1.3
	// provisionTurns is how many databases are made and dropped in each round.
	provisionTurns = 10
	// durableCommits is how often Backplane waits for the disk of its store while
	// a database is made, quarantined and dropped: when the name is found free,
	// when the database is handed over, and before the engine is told to take the
	// password away, and to drop it.
	durableCommits = 4
	// crowd is how many databases are created at once.
	crowd = 50
)

// measureDatabases makes and drops databases through Backplane and by the same
// statements sent straight to the engine, and lists many and few.
func measureDatabases(o *owner, opts options) (rows []row) {
	// Both engines with their own default sizes: those of the testbed are small.
	pg := testbed.StartPostgres(o, testbed.PostgresOptions{Durable: true, Settings: []string{"shared_buffers=128MB"}})
	rows = append(rows, measureProvisioning(o, opts, provisioning{
		name: "PostgreSQL", engine: "postgresql", serviceType: "postgres",
		config:   map[string]any{"host": "127.0.0.1", "port": pg.Port, "database": "postgres", "username": pg.User, "password": pg.Password},
		straight: func(o *owner) straight { return newPostgresStraight(o, pg) },
	})...)
	maria := testbed.StartMariaDB(o, testbed.MariaDBOptions{Durable: true, Settings: []string{
		"innodb-flush-method=O_DIRECT", "innodb-log-file-size=96M", "innodb-buffer-pool-size=128M",
	}})
	rows = append(rows, measureProvisioning(o, opts, provisioning{
		name: "MariaDB", engine: "mysql", serviceType: "mysql",
		config:   map[string]any{"host": "127.0.0.1", "port": maria.Port, "database": "mysql", "username": "root", "password": maria.Password},
		straight: func(o *owner) straight { return newMariaDBStraight(o, maria) },
	})...)
	rows = append(rows, figure(fmt.Sprintf("%d durable commits of one row, SQLite", durableCommits), "ms", measureCommits(o, opts)))
	return append(rows, measureDatabaseLists(o, opts)...)
}

// measureCommits is how long the commits take that the promise demands, of the
// least that the same kind of store can commit.
func measureCommits(o *owner, opts options) float64 {
	bare, err := sql.Open("sqlite", "file:"+filepath.Join(opts.dir, "commits.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	o.must(err)
	o.Cleanup(func() { bare.Close() })
	_, err = bare.Exec("CREATE TABLE bare (id INTEGER PRIMARY KEY, content TEXT)")
	o.must(err)
	content := fmt.Sprintf("%0600d", 0)
	var took []float64
	for range opts.rounds * provisionTurns {
		began := time.Now()
		for range durableCommits {
			_, err := bare.Exec("INSERT INTO bare (content) VALUES (?)", content)
			o.must(err)
		}
		took = append(took, float64(time.Since(began).Nanoseconds())/1e6)
	}
	return median(took)
}

// provisioning is an engine that databases are made on.
type provisioning struct {
	name, engine, serviceType string
	config                    map[string]any
	straight                  func(*owner) straight
}

// straight makes databases by statements of its own, over connections that are
// kept.
type straight interface {
	create(name string) error
	// drop takes the login's password away, cuts its sessions, and then drops
	// both, as the two calls of Backplane do.
	drop(name string) error
}

func measureProvisioning(o *owner, opts options, p provisioning) []row {
	ours := newDatabases(o, opts, p)
	peer := p.straight(o)
	n := 0
	turn := func(create, drop func(string) error, prefix string) func() float64 {
		return func() float64 {
			began := time.Now()
			for range provisionTurns {
				n++
				name := fmt.Sprintf("%s%d", prefix, n)
				o.must(create(name))
				o.must(drop(name))
			}
			return float64(time.Since(began).Nanoseconds()) / 1e6 / provisionTurns
		}
	}
	through, by := turn(ours.create, ours.drop, "ours"), turn(peer.create, peer.drop, "peer")
	through() // warm up
	by()
	a, b, ratio := duel(opts.rounds, through, by)
	rows := []row{noMoreThan("create and drop a database, "+p.name, "ms", a, b, ratio, "the same SQL", provisionGoal)}

	// Each with a connection of its own, as 50 programs would have.
	peers := make([]straight, crowd)
	for i := range peers {
		peers[i] = p.straight(o)
	}
	var failed int
	a, b, ratio = duel(min(opts.rounds, createRounds), func() float64 {
		took, faults := inCrowd(o, "crowd", func(int) (create, drop func(string) error) { return ours.create, ours.drop })
		failed += faults
		return took
	}, func() float64 {
		took, faults := inCrowd(o, "straight", func(i int) (create, drop func(string) error) { return peers[i].create, peers[i].drop })
		if faults > 0 {
			o.Fatalf("%d of %d databases were not made by SQL", faults, crowd)
		}
		return took
	})
	return append(rows,
		row{what: fmt.Sprintf("create %d databases at once, %s", crowd, p.name), unit: "ms", ours: a, peer: b, peerName: fmt.Sprintf("%d connections", crowd), value: ratio},
		bounded(fmt.Sprintf("create %d databases at once, %s, errors", crowd, p.name), "", float64(failed), 0))
}

// inCrowd creates databases at once, tells how long that took in ms and how
// many failed, and drops them again.
func inCrowd(o *owner, prefix string, by func(i int) (create, drop func(string) error)) (took float64, failed int) {
	prefix = fmt.Sprintf("%s%d_", prefix, time.Now().UnixNano()%1e6)
	made := make([]bool, crowd)
	var all sync.WaitGroup
	began := time.Now()
	for i := range crowd {
		create, _ := by(i)
		all.Go(func() { made[i] = create(fmt.Sprintf("%s%d", prefix, i)) == nil })
	}
	all.Wait()
	took = float64(time.Since(began).Nanoseconds()) / 1e6
	for i, ok := range made {
		if !ok {
			failed++
			continue
		}
		_, drop := by(i)
		o.must(drop(fmt.Sprintf("%s%d", prefix, i)))
	}
	return took, failed
}

// databases is a Backplane with one server to make databases on.
type databases struct {
	ctx               context.Context
	client            dbaasv1.DatabaseAdminClient
	plan, environment string

	mu  sync.Mutex
	ids map[string]int64
}

func newDatabases(o *owner, opts options, p provisioning) *databases {
	b := startBackplane(o, opts.binary, filepath.Join(opts.dir, "dbaas-"+p.engine), "")
	conn := connect(o, b.grpc, nil)
	o.Cleanup(func() { conn.Close() })
	d := &databases{ctx: loggedIn(), client: dbaasv1.NewDatabaseAdminClient(conn), ids: map[string]int64{}}
	config, err := structpb.NewStruct(p.config)
	o.must(err)
	service, err := catalogv1.NewServiceCatalogClient(conn).CreateService(d.ctx, &catalogv1.CreateServiceRequest{
		Service: &catalogv1.Service{Name: p.name, ServiceType: p.serviceType, Config: config},
	})
	o.must(err)
	environment, err := d.client.CreateEnvironment(d.ctx, &dbaasv1.CreateEnvironmentRequest{Environment: &dbaasv1.EnvironmentInput{Name: "bench"}})
	o.must(err)
	d.environment = environment.GetLinks().GetSelf()
	plan, err := d.client.CreatePlan(d.ctx, &dbaasv1.CreatePlanRequest{Plan: &dbaasv1.PlanInput{
		Name: "bench", Engine: p.engine, Environments: []string{d.environment}, Services: []string{service.GetData().GetId()},
	}})
	o.must(err)
	d.plan = plan.GetLinks().GetSelf()
	return d
}

func (d *databases) create(name string) error {
	db, err := d.client.CreateDatabase(d.ctx, &dbaasv1.CreateDatabaseRequest{Name: name, Plan: d.plan, Environment: d.environment})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids[name] = db.GetId()
	return nil
}

// drop puts a database into quarantine and then away.
func (d *databases) drop(name string) error {
	d.mu.Lock()
	id := d.ids[name]
	delete(d.ids, name)
	d.mu.Unlock()
	for range 2 {
		if _, err := d.client.DeleteDatabase(d.ctx, &dbaasv1.DeleteDatabaseRequest{Id: id}); err != nil {
			return err
		}
	}
	return nil
}
