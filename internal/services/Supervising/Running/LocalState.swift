internal import Glibc
internal import JSONScanning

/// One local system's folder, and what it says about the system while that runs.
public struct LocalState: Sendable {
    /// Absolute.
    public let directory: String

    public init(_ path: String?) { directory = Files.absolute(path ?? ".martlet") }

    var logs: String { "\(directory)/logs" }
    private var file: String { "\(directory)/state.json" }
    func log(_ name: String) -> String { "\(logs)/\(name).log" }

    /// A system that runs.
    struct Running: Equatable, Sendable {
        var pid: Int32
        var ports: LocalPorts
        /// `cluster`, `real` or `memory`.
        var kafka: String
        var brokers: String
        var logID: String
    }

    /// How far the system is.
    private enum Phase: String {
        case starting, up
    }

    /// The system that runs here; nil where none does (what a killed one left behind is ignored).
    func running() -> Running? {
        guard let (pid, value) = read(.up) else { return nil }
        var ports = LocalPorts()
        for (name, path) in LocalPorts.all {
            if let port = value["ports"]?[name]?.integer { ports[keyPath: path] = UInt16(clamping: port) }
        }
        return Running(
            pid: pid, ports: ports, kafka: value["kafka"]?.text ?? "", brokers: value["brokers"]?.text ?? "",
            logID: value["log_id"]?.text ?? "")
    }

    /// The process of a start that is under way here.
    func starting() -> Int32? { read(.starting)?.pid }

    private func read(_ phase: Phase) -> (pid: Int32, value: JSONValue)? {
        guard let text = Files.read(file), let value = JSONValue(answer: Array(text.utf8)),
            value["phase"]?.text == phase.rawValue,
            let pid = value["pid"]?.integer.flatMap({ Int32(exactly: $0) }), isOurs(pid)
        else { return nil }
        return (pid, value)
    }

    /// A pid may have been given to another process since.
    private func isOurs(_ pid: Int32) -> Bool {
        guard let words = Files.read("/proc/\(pid)/cmdline") else { return false }
        return words.split(separator: "\0").first?.hasSuffix("martlet") == true
    }

    /// Says that this process is starting a system here.
    func writeStarting() throws(SupervisionError) {
        let text = jsonLine { writer in
            writer.object { writer in
                writer.member("phase", Phase.starting.rawValue)
                writer.member("pid", getpid())
            }
        }
        try Files.write(text + "\n", to: file)
    }

    func write(_ running: Running) throws(SupervisionError) {
        let text = jsonLine { writer in
            writer.object { writer in
                writer.member("phase", Phase.up.rawValue)
                writer.member("pid", running.pid)
                writer.member("kafka", running.kafka)
                writer.member("brokers", running.brokers)
                writer.member("log_id", running.logID)
                writer.key("ports")
                writer.object { writer in
                    for (name, path) in LocalPorts.all { writer.member(name, running.ports[keyPath: path]) }
                }
            }
        }
        try Files.write(text + "\n", to: file)
    }

    func forget() { Files.remove(file) }
}
