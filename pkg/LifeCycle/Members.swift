internal import Logs

/// The services of a running group and how far its end has come. Knows no time and waits for nothing.
struct Members: Sendable {
    struct Member: Sendable {
        let name: String
        let notice: ShutdownNotice
        let task: Task<Void, Never>
        var hasEnded = false
    }

    private var members: [Member]
    private let logger: Logger
    private(set) var isStopping = false
    private var isCancelled = false
    /// The first thing that went wrong.
    private(set) var failure: ServiceGroupError?

    init(_ members: [Member], logger: Logger) {
        self.members = members
        self.logger = logger
    }

    var stillRunning: [String] { members.filter { !$0.hasEnded }.map(\.name) }

    mutating func ended(_ index: Int, _ error: (any Error)?) {
        members[index].hasEnded = true
        let name = members[index].name
        if let error, !(isCancelled && error is CancellationError) {
            logger.error("service failed", metadata: ["failed_service": "\(name)", "error": "\(error)"])
            failure = failure ?? .failed(service: name, error)
        } else if !isStopping {
            logger.error("service ended unasked", metadata: ["failed_service": "\(name)"])
            failure = .ended(service: name)
        } else {
            logger.debug("service stopped", metadata: ["stopped_service": "\(name)"])
        }
        if !isStopping { stop("a service ended") }
    }

    mutating func stop(_ reason: String) {
        guard !isStopping else { return }
        isStopping = true
        logger.info("stopping", metadata: ["reason": "\(reason)"])
    }

    mutating func cancelRest() {
        guard !stillRunning.isEmpty else { return }
        isCancelled = true
        logger.error("time to stop is over", metadata: ["still_running": .array(stillRunning.map { .string($0) })])
        for member in members where !member.hasEnded {
            member.notice.give()
            member.task.cancel()
        }
    }

    /// Asks the next one to stop, once the group is stopping; true when all have ended.
    func advance() -> Bool {
        guard let last = members.last(where: { !$0.hasEnded }) else { return true }
        if isStopping, !last.notice.isGiven { last.notice.give() }
        return false
    }
}
