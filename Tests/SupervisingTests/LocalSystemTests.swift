import Glibc
import JSONScanning
import TestSupport
import Testing

@testable import Supervising

/// `martlet` beside services that only say that they are ready: what starts, stops and watches them is real, and so are PostgreSQL, Redis and the
/// in-memory broker.
private struct Bench {
    let scripts: Scripts
    let state: String

    init() throws {
        scripts = try Scripts("system")
        state = scripts.path("state")
        try Self.copy(try builtProgram("martlet"), to: scripts.path("martlet"))
        for (name, variable) in [
            ("webhook-registry", "REGISTRY"), ("observability", "OBSERVABILITY"), ("event-ingestion", "INGESTION"),
            ("retry-manager", "RETRY_MANAGER"), ("webhook-dispatcher", "DISPATCHER"), ("api-gateway", "GATEWAY"),
        ] {
            try scripts.add(name, Self.service(variable))
        }
    }

    private static func service(_ variable: String) -> String {
        """
        #!/usr/bin/env python3
        import os, http.server
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")
            def log_message(self, *words): pass
        host, port = os.environ["MARTLET_\(variable)_LISTEN"].split(":")
        http.server.ThreadingHTTPServer((host, int(port)), Handler).serve_forever()

        """
    }

    private static func copy(_ from: String, to: String) throws {
        let (source, target) = (open(from, O_RDONLY), open(to, O_WRONLY | O_CREAT | O_EXCL, 0o755))
        defer { for file in [source, target] { close(file) } }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while case let count = read(source, &buffer, buffer.count), count != 0 {
            try #require(count > 0 && write(target, buffer, count) == count)
        }
    }

    func martlet(_ words: String..., environment: [String: String] = [:]) throws -> ChildProcess {
        let settings = ["KAFKA_HOME": ""].merging(environment) { $1 }
        return try ChildProcess(scripts.path("martlet"), words + ["--state", state], environment: settings)
    }

    /// Runs a command to its end.
    func run(_ words: String..., environment: [String: String] = [:]) async throws -> (
        status: Int32, output: String, errors: String
    ) {
        let settings = ["KAFKA_HOME": ""].merging(environment) { $1 }
        let child = try ChildProcess(scripts.path("martlet"), words + ["--state", state], environment: settings)
        let status = try await child.exit(within: .seconds(60))
        return (status, child.output, child.errors)
    }

    var running: LocalState.Running? { LocalState(state).running() }

    /// The processes that `parent` has started.
    func children(of parent: Int32) -> [(pid: Int32, name: String)] {
        let threads = (try? Tool.names(in: "/proc/\(parent)/task")) ?? []
        return threads.flatMap { thread in
            (Files.read("/proc/\(parent)/task/\(thread)/children") ?? "").split(separator: " ").compactMap { Int32($0) }
        }.map { pid in
            let words = (Files.read("/proc/\(pid)/cmdline") ?? "").split(separator: "\0").map(String.init)
            return (pid, words.joined(separator: " "))
        }
    }

    /// Ends what a failed test left, and removes what the system kept.
    func remove() async {
        let state = LocalState(state)
        for pid in [state.running()?.pid, state.starting()] { if let pid { kill(pid, SIGKILL) } }
        _ = await eventually { state.running() == nil && state.starting() == nil }
        _ = try? await run("reset", "--yes")
        scripts.remove()
    }
}

@Suite(.serialized, .timeLimit(.minutes(3))) struct LocalSystemTests {
    private func withBench(_ body: (Bench) async throws -> Void) async throws {
        let bench = try Bench()
        do {
            try await body(bench)
        } catch {
            await bench.remove()
            throw error
        }
        await bench.remove()
    }

    @Test func itStaysUpBehindTheCallerAndEndsWhenAsked() async throws {
        try await withBench { bench in
            let up = try await bench.run("up", "--detach", "--ports", "auto", "--json")
            #expect(up.status == 0, "\(up.errors)")
            for step in ["PostgreSQL", "Redis", "Kafka, in memory", "migrations", "webhook-registry", "api-gateway"] {
                #expect(up.errors.contains("✓ \(step)"), "\(step)")
            }
            #expect(up.errors.contains("keeps nothing"))
            // Nothing but the JSON on standard output.
            let value = try #require(JSONValue(answer: Array(up.output.utf8)))
            let running = try #require(bench.running)
            #expect(value["pid"]?.integer == Int(running.pid))
            #expect(running.kafka == "memory" && !running.logID.isEmpty)
            let pids = bench.children(of: running.pid).map(\.pid)
            #expect(pids.count == 8)

            let again = try await bench.run("up", "--detach", "--ports", "auto")
            #expect(again.status == 0)
            #expect(again.output.contains("up already (process \(running.pid))"))
            #expect(again.output.contains("Try it:"))
            #expect(try await bench.run("status").status == 0)
            let reset = try await bench.run("reset", "--yes")
            #expect(reset.status != 0 && reset.errors.contains("martlet down first"))

            let down = try await bench.run("down")
            #expect(down.status == 0 && down.output.contains("has stopped"))
            #expect(pids.allSatisfy { !runs($0) })
            #expect(bench.running == nil)
            #expect(try await bench.run("status").status == 1)
            #expect(try await bench.run("down").output.contains("not up"))

            let home = try LocalPostgres(LocalState(bench.state), port: 1).home
            #expect(Files.exists("\(home)/postgres"))
            #expect(try await bench.run("reset").status == 64)
            #expect(Files.exists("\(home)/postgres"))
            #expect(try await bench.run("reset", "--yes").status == 0)
            #expect(!Files.exists(home) && !Files.exists(bench.state))
        }
    }

    @Test func usersAreAddedWithAnAnswerAsJSON() async throws {
        try await withBench { bench in
            #expect(try await bench.run("up", "--detach", "--ports", "auto").status == 0)
            func users(_ words: String...) async throws -> JSONValue? {
                let child = try ChildProcess(
                    bench.scripts.path("martlet"), ["users"] + words + ["--json", "--state", bench.state])
                child.send("a password that is long enough")
                #expect(try await child.exit(within: .seconds(20)) == 0, "\(child.errors)")
                return JSONValue(answer: Array(child.output.utf8))
            }
            let added = try await users("add", "ann", "--tenant", "acme", "--scope", "events:write")
            #expect(added?["username"]?.text == "ann" && added?["tenant"]?.text == "acme")
            #expect(added?["scopes"]?.elements?.map(\.text) == ["events:write"])
            #expect(try await users("password", "ann")?["username"]?.text == "ann")
            #expect(try await bench.run("down").status == 0)
        }
    }

    @Test func childrenEndWithAKilledSupervisorAndTheNextStartWorks() async throws {
        try await withBench { bench in
            let up = try await bench.run("up", "--detach", "--ports", "auto")
            #expect(up.status == 0, "\(up.errors)")
            let running = try #require(bench.running)
            let pids = bench.children(of: running.pid).map(\.pid)
            #expect(pids.count == 8)
            kill(running.pid, SIGKILL)
            #expect(await eventually(within: .seconds(20)) { pids.allSatisfy { !runs($0) } })
            #expect(bench.running == nil)
            let next = try await bench.run("up", "--detach", "--ports", "auto")
            #expect(next.status == 0, "\(next.errors)")
            #expect(try await bench.run("down").status == 0)
        }
    }

    @Test func aServiceThatDiesLaterIsStartedAgain() async throws {
        try await withBench { bench in
            let up = try bench.martlet("up", "--ports", "auto")
            #expect(await eventually(within: .seconds(60)) { up.output.contains("Try it:") || up.status != nil })
            let running = try #require(bench.running, "\(up.errors)")
            let victim = try #require(
                bench.children(of: running.pid).first { $0.name.hasSuffix("event-ingestion") })
            kill(victim.pid, SIGKILL)
            #expect(
                await eventually { up.output.contains("event-ingestion ended (signal 9); starting it again in 0.5") })
            #expect(
                await eventually {
                    bench.children(of: running.pid).contains {
                        $0.name.hasSuffix("event-ingestion") && $0.pid != victim.pid
                    }
                })
            let pids = bench.children(of: running.pid).map(\.pid)
            up.signal(SIGTERM)
            #expect(try await up.exit(within: .seconds(60)) == 0)
            #expect(pids.allSatisfy { !runs($0) })
            #expect(up.output.contains("Martlet has stopped."))
        }
    }

    @Test(arguments: [true, false])
    func aServiceThatDiesDuringTheStartStopsEverything(isDetached: Bool) async throws {
        try await withBench { bench in
            try bench.scripts.add("event-ingestion", "#!/bin/sh\necho the key is wrong\nexit 78\n")
            let words = ["up", "--ports", "auto", "--state", bench.state] + (isDetached ? ["--detach"] : [])
            let up = try ChildProcess(bench.scripts.path("martlet"), words, environment: ["KAFKA_HOME": ""])
            #expect(try await up.exit(within: .seconds(60)) == 1)
            #expect(up.errors.contains("event-ingestion died during the start (exit code 78)"))
            #expect(up.errors.contains("the key is wrong"))
            #expect(up.output.contains("✓ observability"))
            #expect(bench.running == nil)
            // PostgreSQL removes its file when it has ended in order.
            let left = try Tool.processes(mentioning: bench.scripts.directory).filter { $0 != up.pid }
            #expect(left.isEmpty)
        }
    }

    @Test func aPortInUseStopsTheStartBeforeAnythingRuns() async throws {
        try await withBench { bench in
            // The standard ports: one that another test or a developer's own system holds serves as well.
            let taken = try? LoopbackPort(LocalPorts().redis)
            let up = try await bench.run("up")
            #expect(up.status == 1)
            #expect(up.errors.contains(" needs, is in use by another process"))
            #expect(!up.output.contains("✓"))
            withExtendedLifetime(taken) {}
        }
    }

    @Test func aMissingServiceIsNamed() async throws {
        try await withBench { bench in
            unlink(bench.scripts.path("observability"))
            let up = try await bench.run("up", "--ports", "auto")
            #expect(up.status == 1)
            #expect(up.errors.contains("\(bench.scripts.path("observability")) is missing: build it with make build"))
            #expect(!up.output.contains("✓"))
        }
    }

    @Test func aMissingServerIsNamedWithItsPackage() async throws {
        try await withBench { bench in
            let up = try await bench.run("up", "--ports", "auto", environment: ["PATH": bench.scripts.directory])
            #expect(up.status == 1)
            #expect(up.errors.contains("redis-server is not installed: apt-get install redis-server"))
            #expect(!up.output.contains("✓"))
        }
    }

    /// Held at its last step by a service that never becomes ready.
    @Test(arguments: [true, false]) func aStartUnderWayCanBeStopped(isDetached: Bool) async throws {
        try await withBench { bench in
            try bench.scripts.add("api-gateway", "#!/bin/sh\nexec sleep 600\n")
            let state = LocalState(bench.state)
            let up =
                try isDetached
                ? bench.martlet("up", "--ports", "auto", "--detach") : bench.martlet("up", "--ports", "auto")
            #expect(await eventually(within: .seconds(60)) { up.output.contains("✓ webhook-dispatcher") })
            let pid = try #require(state.starting())
            let pids = bench.children(of: pid).map(\.pid)
            #expect(!pids.isEmpty && bench.running == nil)
            let status = try await bench.run("status", "--json")
            #expect(status.status == 1 && status.output.contains(#""status":"starting""#))
            let second = try await bench.run("up", "--detach", "--ports", "auto")
            #expect(second.status == 1 && second.errors.contains("being started in \(bench.state) by process \(pid)"))
            #expect(state.starting() == pid)
            #expect(try await bench.run("reset", "--yes").errors.contains("martlet down first"))

            let down = try await bench.run("down")
            #expect(down.status == 0 && down.output == "Martlet has stopped; its start was under way.\n")
            #expect(down.errors.contains("being started by process \(pid); stopping that"))
            #expect(try await up.exit(within: .seconds(20)) == (isDetached ? 1 : 0))
            #expect(
                isDetached ? up.errors.contains("the start was stopped") : up.output.contains("Martlet has stopped."))
            #expect(pids.allSatisfy { !runs($0) } && state.starting() == nil)
            #expect(try Tool.processes(mentioning: bench.scripts.directory).isEmpty)
        }
    }

    /// The first start makes PostgreSQL's cluster: stopped there, nothing may stay that a later start takes for a finished one.
    @Test func aStartStoppedInItsFirstStepLeavesTheNextOneNothingToTripOver() async throws {
        try await withBench { bench in
            let state = LocalState(bench.state)
            let up = try bench.martlet("up", "--ports", "auto")
            let home = try LocalPostgres(state, port: 1).home
            #expect(await eventually(within: .seconds(20)) { Files.exists("\(home)/postgres.new/PG_VERSION") })
            #expect(try await bench.run("down").output.contains("its start was under way"))
            #expect(try await up.exit(within: .seconds(20)) == 0)
            #expect(!Files.exists("\(home)/postgres"))
            let next = try await bench.run("up", "--detach", "--ports", "auto")
            #expect(next.status == 0, "\(next.errors)")
            #expect(try await bench.run("down").status == 0)
        }
    }

    @Test func theConfigurationIsPrintedAsProperJSON() async throws {
        try await withBench { bench in
            let printed = try await bench.run(
                "config", "print", "--json",
                environment: ["MARTLET_PROFILE": "development", "MARTLET_KAFKA_BROKERS": "a:1,b:2"])
            #expect(printed.status == 0, "\(printed.errors)")
            let value = try #require(JSONValue(answer: Array(printed.output.utf8)))
            #expect(value["kafka.brokers"]?["value"]?.elements?.map(\.text) == ["a:1", "b:2"])
            #expect(value["kafka.brokers"]?["source"]?.text == "environment MARTLET_KAFKA_BROKERS")
            #expect(value["kafka.partitions"]?["value"]?.integer == 16)
            #expect(value["kafka.topic_prefix"]?["value"]?.text == "")
            #expect(value["profile"]?["value"]?.text == "development")
            #expect(value["auth.secret"]?["value"]?.text == "******")
        }
    }

    @Test func aFullLogMakesRoomForANewOne() throws {
        let scripts = try Scripts("log")
        defer { scripts.remove() }
        let path = scripts.path("supervisor.log")
        try Files.write("before\n", to: path)
        let descriptor = open("/dev/null", O_WRONLY | O_CLOEXEC)
        defer { close(descriptor) }
        func line(_ text: String) { _ = write(descriptor, text + "\n", text.utf8.count + 1) }
        let log = SupervisorLog(path, maxBytes: 20)
        log.rotateWhenFull()
        #expect(Files.read(path) == "before\n")
        try log.take(over: [descriptor])
        for text in ["first", "second", "third", "fourth", "fifth", "sixth", "seventh"] {
            line(text)
            log.rotateWhenFull()
        }
        #expect(Files.read(path) == "seventh\n")
        #expect(Files.read(path + ".1") == "third\nfourth\nfifth\nsixth\n")
    }

    @Test func exitAndDetachExcludeEachOther() async throws {
        try await withBench { bench in
            let up = try await bench.run("up", "--exit", "--detach")
            #expect(up.status == 64)
            #expect(up.errors.contains("choose one"))
        }
    }
}

extension Tool {
    /// The names in a folder, without the hidden ones.
    static func names(in folder: String) throws -> [String] {
        guard let stream = opendir(folder) else { throw ChildProcess.Failure(description: "\(folder) cannot be read") }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    /// The processes whose command line has a text in it.
    static func processes(mentioning text: String) throws -> [Int32] {
        try names(in: "/proc").compactMap { Int32($0) }.filter { pid in
            (Files.read("/proc/\(pid)/cmdline") ?? "").contains(text)
        }
    }
}
