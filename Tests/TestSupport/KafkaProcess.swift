internal import CLinux
internal import EventLoops
internal import Glibc
internal import Synchronization

/// A broker of an official Kafka distribution: formatted and started with Apache's own scripts, in a folder and on
/// ports of its own. It ends with this process, however that ends.
final class KafkaProcess: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ process: KafkaProcess, _ what: String) {
            description = "the Kafka broker for tests \(what); its log: \(process.directory)/broker.log"
        }
    }

    private enum State {
        case starting
        case running(pid_t)
        case ended(Int32)
    }

    let bootstrapServers: String
    let directory: String
    private let script: String
    private let state = Mutex(State.starting)

    /// The status that the broker exited with; nil while it runs.
    var exitStatus: Int32? { state.withLock { if case .ended(let status) = $0 { status } else { nil } } }

    private init(bootstrapServers: String, directory: String, script: String) {
        self.bootstrapServers = bootstrapServers
        self.directory = directory
        self.script = script
    }

    /// Starts formatting and then the broker.
    /// - Parameter directory: Where it keeps everything; nil: a folder for the one broker of this process.
    static func start(home: String, directory: String? = nil) throws -> KafkaProcess {
        let port = freePort()
        let directory = try directory ?? makeDirectory()
        try write(settings(port: port, controller: freePort(), directory), to: "\(directory)/server.properties")
        // Formatting what is formatted already fails and changes nothing.
        let script = """
            exec >>"\(directory)/broker.log" 2>&1
            export KAFKA_HEAP_OPTS="${KAFKA_HEAP_OPTS:--Xms256m -Xmx512m}" LOG_DIR="\(directory)/logs"
            "\(home)/bin/kafka-storage.sh" format --standalone -t TWFydGxldC1Nb3J0bGV0LQ \
                -c "\(directory)/server.properties"
            exec "\(home)/bin/kafka-server-start.sh" "\(directory)/server.properties"
            """
        let process = KafkaProcess(bootstrapServers: "127.0.0.1:\(port)", directory: directory, script: script)
        process.launch()
        return process
    }

    /// Starts it (again), on a thread that lives as long as it does: the kernel's parent-death signal is about the thread that
    /// made the child.
    func launch() {
        state.withLock { $0 = .starting }
        NativeThread.start(name: "kafka-process") { [self] in
            let status = Self.run(["setpriv", "--pdeathsig", "KILL", "--", "bash", "-c", script]) { pid in
                state.withLock { $0 = .running(pid) }
            }
            state.withLock { $0 = .ended(status) }
        }
    }

    /// Ends it as a crash would.
    func kill() { signal(SIGKILL) }

    func signal(_ number: Int32) {
        state.withLock { if case .running(let pid) = $0 { _ = Glibc.kill(pid, number) } }
    }

    /// Small, and without what slows a single broker's tests down.
    private static func settings(port: UInt16, controller: UInt16, _ directory: String) -> String {
        """
        process.roles=broker,controller
        node.id=1
        controller.quorum.bootstrap.servers=127.0.0.1:\(controller)
        controller.listener.names=CONTROLLER
        listeners=PLAINTEXT://127.0.0.1:\(port),CONTROLLER://127.0.0.1:\(controller)
        advertised.listeners=PLAINTEXT://127.0.0.1:\(port),CONTROLLER://127.0.0.1:\(controller)
        listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
        inter.broker.listener.name=PLAINTEXT
        log.dirs=\(directory)/data
        auto.create.topics.enable=false
        offsets.topic.num.partitions=4
        offsets.topic.replication.factor=1
        transaction.state.log.num.partitions=4
        transaction.state.log.replication.factor=1
        transaction.state.log.min.isr=1
        share.coordinator.state.topic.replication.factor=1
        share.coordinator.state.topic.min.isr=1
        group.initial.rebalance.delay.ms=0
        num.network.threads=2
        num.io.threads=4
        log.cleaner.dedupe.buffer.size=33554432
        log.cleaner.backoff.ms=500

        """
    }

    /// A folder named after this process; those of processes that are gone are removed first.
    private static func makeDirectory() throws -> String {
        let root = "/tmp/martlet-test-kafka"
        mkdir(root, 0o777)
        if let folder = opendir(root) {
            while let entry = readdir(folder) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if let owner = pid_t(name), Glibc.kill(owner, 0) != 0, errno == ESRCH {
                    _ = run(["rm", "-rf", "\(root)/\(name)"])
                }
            }
            closedir(folder)
        }
        let directory = "\(root)/\(getpid())"
        guard mkdir(directory, 0o755) == 0 else { throw SystemError(call: "mkdir \(directory)", code: errno) }
        return directory
    }

    private static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw SystemError(call: "fopen \(path)", code: errno) }
        fputs(text, file)
        fclose(file)
    }

    /// Runs a program to its end and returns its wait status. The child inherits no descriptor but the standard three: an
    /// in-memory broker's sockets would stay connected as long as it lives.
    private static func run(_ arguments: [String], started: (pid_t) -> Void = { _ in }) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        _ = clinux_spawn_close_from(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        defer { posix_spawnattr_destroy(&attributes) }
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child = pid_t()
        let code = posix_spawnp(&child, arguments[0], &actions, &attributes, &words, environ)
        guard code == 0 else { return code }
        started(child)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        return status
    }
}
