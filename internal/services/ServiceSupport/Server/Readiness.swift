internal import JSONScanning
internal import Synchronization

/// Whether a service can do its work: what its dependencies say, asked for at each `GET /ready`.
public final class Readiness: Sendable {
    public enum State: Equatable, Sendable {
        case ready
        /// Why not, for people.
        case unavailable(String)
    }

    public typealias Probe = @Sendable () async -> State

    /// What `/ready` answers.
    public struct Report: Equatable, Sendable {
        public struct Component: Equatable, Sendable {
            public let name: String
            /// Where false, the service goes on without it, degraded.
            public let isRequired: Bool
            public let state: State
        }

        public let components: [Component]
        public let isStopping: Bool

        public var isReady: Bool { !isStopping && components.allSatisfy { !$0.isRequired || $0.state == .ready } }

        /// `{"status":"ready","components":{"kafka":{"status":"ready","required":true}}}`
        public var json: [UInt8] {
            var writer = JSONWriter()
            writer.object { writer in
                writer.member("status", isStopping ? "stopping" : isReady ? "ready" : "not_ready")
                writer.key("components")
                writer.object { writer in
                    for component in components { Self.write(component, to: &writer) }
                }
            }
            return writer.bytes
        }

        private static func write(_ component: Component, to writer: inout JSONWriter) {
            writer.key(component.name)
            writer.object { writer in
                switch component.state {
                case .ready: writer.member("status", "ready")
                case .unavailable(let reason):
                    writer.member("status", "unavailable")
                    writer.member("reason", reason)
                }
                writer.member("required", component.isRequired)
            }
        }
    }

    /// How long a probe may take.
    private static let patience = Duration.seconds(2)

    private struct Entry: Sendable {
        let name: String
        let isRequired: Bool
        let probe: Probe
    }

    private struct Content {
        var entries: [Entry] = []
        var isStopping = false
    }

    private let content = Mutex(Content())

    public init() {}

    /// Adds a dependency that is asked when somebody asks. A probe that takes longer than 2 s counts as unavailable.
    public func register(_ name: String, isRequired: Bool = true, probe: @escaping Probe) {
        content.withLock { $0.entries.append(Entry(name: name, isRequired: isRequired, probe: probe)) }
    }

    /// Adds a dependency whose state is told by the returned flag; unavailable until then.
    public func register(_ name: String, isRequired: Bool = true) -> ReadinessFlag {
        let flag = ReadinessFlag()
        register(name, isRequired: isRequired) { flag.state }
        return flag
    }

    /// The service stops: from now on it is not ready, so that no new work is sent to it.
    public func stop() { content.withLock { $0.isStopping = true } }

    /// Asks all dependencies at once.
    public func report() async -> Report {
        let entries = content.withLock { $0.entries }
        let states = await withTaskGroup(of: (Int, State).self) { group in
            for (index, entry) in entries.enumerated() {
                group.addTask { (index, await Self.ask(entry.probe)) }
            }
            return await group.reduce(into: [Int: State]()) { $0[$1.0] = $1.1 }
        }
        let components = entries.enumerated().map { index, entry in
            Report.Component(
                name: entry.name, isRequired: entry.isRequired, state: states[index] ?? .unavailable("unknown"))
        }
        return Report(components: components, isStopping: content.withLock { $0.isStopping })
    }

    /// The probe's answer, or that it took too long; a probe that heeds no cancellation is left behind.
    private static func ask(_ probe: @escaping Probe) async -> State {
        let (answers, inbox) = AsyncStream<State>.makeStream(bufferingPolicy: .bufferingOldest(1))
        let asking = Task { inbox.yield(await probe()) }
        let clock = Task {
            try await Task.sleep(for: patience)
            inbox.yield(.unavailable("no answer within 2 s"))
        }
        defer {
            asking.cancel()
            clock.cancel()
        }
        for await answer in answers { return answer }
        return .unavailable("cancelled")
    }
}

/// A dependency's state, set from any thread.
public final class ReadinessFlag: Sendable {
    private let current = Mutex(Readiness.State.unavailable("starting"))

    public var state: Readiness.State { current.withLock { $0 } }
    public func set(_ state: Readiness.State) { current.withLock { $0 = state } }
}
