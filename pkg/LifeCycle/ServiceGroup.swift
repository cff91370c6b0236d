public import Logs
internal import Synchronization

/// Why a group ended otherwise than by being asked to.
public enum ServiceGroupError: Error, CustomStringConvertible {
    /// A service threw.
    case failed(service: String, any Error)
    /// A service returned although nobody had asked it to stop.
    case ended(service: String)
    /// Services that neither stopped in time nor heeded their cancellation.
    case stuck(services: [String])

    public var description: String {
        switch self {
        case .failed(let service, let error): "\(service): \(error)"
        case .ended(let service): "\(service) ended unasked"
        case .stuck(let services): "not stopped in time: \(services.joined(separator: ", "))"
        }
    }
}

/// Runs services together: all are started in their order; SIGTERM, SIGINT (see `MainThread`), `stop()` or the end of any one stops all, in
/// reverse order and each only when those after it have stopped, so that what others stand on goes last.
///
///     running ──(signal, stop, failure)──► stopping one by one ──(stopsWithin)──► cancelled ──(1 s)──► given up as stuck
public final class ServiceGroup: Service {
    private enum Event: Sendable {
        case ended(Int, (any Error)?)
        case stop(String)
        case outOfTime
        case outOfPatience
    }

    public let name = "ServiceGroup"
    private let services: [any Service]
    private let stopsWithin: Duration
    private let logger: Logger
    private let events: AsyncStream<Event>
    private let inbox: AsyncStream<Event>.Continuation

    /// - Parameters:
    ///   - services: In the order in which they depend on each other: what others stand on comes first.
    ///   - stopsWithin: The time that stopping may take altogether before what still runs is cancelled.
    public init(services: [any Service], stopsWithin: Duration = .seconds(10), logger: Logger) {
        self.services = services
        self.stopsWithin = stopsWithin
        self.logger = logger
        (events, inbox) = AsyncStream.makeStream()
    }

    /// Asks the group to stop; any thread, any number of times.
    public func stop() { inbox.yield(.stop("asked to")) }

    /// Runs the services until all have ended. Called once. Throws `ServiceGroupError` where one failed, ended by itself or is stuck.
    public func run() async throws {
        let inbox = inbox
        let subscription = ShutdownSignals.subscribe { inbox.yield(.stop($0)) }
        defer { ShutdownSignals.unsubscribe(subscription) }
        try await withTaskCancellationHandler {
            try await withGracefulShutdownHandler {
                try await superviseAll()
            } onGracefulShutdown: {
                inbox.yield(.stop("asked to"))
            }
        } onCancel: {
            inbox.yield(.stop("cancelled"))
            inbox.yield(.outOfTime)
        }
    }

    private func superviseAll() async throws {
        var group = Members(services.indices.map(start), logger: logger)
        var clock: Task<Void, Never>?
        // A task of its own, for in a cancelled one the stream would end at once and the services outlive their group.
        let result: Result<Void, any Error> = await Task { [events] in
            for await event in events {
                switch event {
                case .ended(let index, let error): group.ended(index, error)
                case .stop(let reason): group.stop(reason)
                case .outOfTime: group.cancelRest()
                case .outOfPatience: return .failure(ServiceGroupError.stuck(services: group.stillRunning))
                }
                if group.isStopping, clock == nil { clock = startClock() }
                if group.advance() { break }
            }
            clock?.cancel()
            return group.failure.map { .failure($0) } ?? .success(())
        }.value
        try result.get()
    }

    private func start(_ index: Int) -> Members.Member {
        let service = services[index]
        let notice = ShutdownNotice()
        let task = Task.detached { [inbox] in
            await ShutdownNotice.$current.withValue(notice) {
                do {
                    try await service.run()
                    inbox.yield(.ended(index, nil))
                } catch {
                    inbox.yield(.ended(index, error))
                }
            }
        }
        return Members.Member(name: service.name, notice: notice, task: task)
    }

    private func startClock() -> Task<Void, Never> {
        Task.detached { [inbox, stopsWithin] in
            guard (try? await Task.sleep(for: stopsWithin)) != nil else { return }
            inbox.yield(.outOfTime)
            guard (try? await Task.sleep(for: .seconds(1))) != nil else { return }
            inbox.yield(.outOfPatience)
        }
    }
}
