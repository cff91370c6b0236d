import CLinux
import EventLoops
import Glibc
import Metrics

/// Sends a plan's requests when they are due, over kept-alive connections, and takes the time from then to each answer: where the
/// server falls behind, requests wait for a connection here and their latency grows (coordinated omission is counted, not hidden).
///
/// Raw sockets on one thread, for what is measured must not be the measuring: libcurl costs twice as much a request.
final class LoadGenerator {
    private let loop: EventLoop
    private let plan: LoadPlan
    private var schedule: Schedule
    private var template: RequestTemplate
    private var connections: [LoadConnection?] = []
    private var idle: [Int] = []
    private var open = 0
    private var underWay = 0
    private var next = 0
    private var nextDue: UInt64 = 0
    private var start: UInt64 = 0
    private var lastAnswer: UInt64 = 0
    private(set) var result = LoadResult()
    private var connectFailure: String?
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)

    init(_ plan: LoadPlan) throws {
        loop = try EventLoop()
        self.plan = plan
        schedule = Schedule(plan)
        template = RequestTemplate(plan)
    }

    deinit { scratch.deallocate() }

    /// Blocks until every answer is there or the time for them is up.
    /// - Parameter progress: called about once a second, with what is waiting to be sent.
    func run(progress: @escaping (_ result: LoadResult, _ waiting: Int) -> Void) throws -> LoadResult {
        let cpu = clinux_process_cpu_ns()
        // A moment, so that the first request is not late for the process' own start.
        start = EventLoop.monotonicNanoseconds() + 20_000_000
        nextDue = schedule.due(0)
        loop.atEndOfTurn { [unowned self] in sendDue() }
        tick()
        report(progress)
        loop.run()
        if let connectFailure, result.sent == 0 { throw BenchError(connectFailure) }
        for case let connection? in connections where connection.request >= 0 { unanswered(connection.request) }
        result.seconds = Double(max(lastAnswer, start) - start) / 1e9
        result.cpuSeconds = Double(clinux_process_cpu_ns() - cpu) / 1e9
        return result
    }

    /// Turns of the loop, so that what is due is sent within a millisecond.
    private func tick() {
        loop.after(milliseconds: 1) { [unowned self] in
            let elapsed = Double(loop.now) - Double(start)
            let isOver = next == schedule.requests && underWay == 0
            if isOver || elapsed > (plan.seconds + plan.drainSeconds) * 1e9 { return loop.stop() }
            tick()
        }
    }

    private func report(_ progress: @escaping (LoadResult, Int) -> Void) {
        loop.after(milliseconds: 1_000) { [unowned self] in
            progress(result, waiting)
            report(progress)
        }
    }

    /// Events that are due and have found no connection.
    private var waiting: Int {
        var schedule = schedule
        let now = EventLoop.monotonicNanoseconds()
        var request = next
        while request < schedule.requests, start + schedule.due(request) <= now { request += 1 }
        return (request - next) * plan.batch
    }

    // MARK: Sending

    private func sendDue() {
        let now = EventLoop.monotonicNanoseconds()
        while next < schedule.requests, start + nextDue <= now {
            guard let index = idle.popLast() ?? connectOne() else { return }
            send(next, due: start + nextDue, over: index)
            next += 1
            if next < schedule.requests { nextDue = schedule.due(next) }
        }
    }

    private func connectOne() -> Int? {
        guard open < plan.connections else { return nil }
        guard let connection = LoadConnection(port: plan.port) else {
            connectFailure = "127.0.0.1:\(plan.port): \(String(cString: strerror(errno)))"
            return nil
        }
        let index = connections.firstIndex { $0 == nil } ?? connections.count
        if index == connections.count { connections.append(connection) } else { connections[index] = connection }
        open += 1
        try? loop.watch(connection.descriptor, for: .readable) { [unowned self] readiness in
            ready(index, readiness)
        }
        return index
    }

    private func send(_ request: Int, due: UInt64, over index: Int) {
        template.set(request: request, due: due)
        connections[index]?.request = request
        connections[index]?.due = due
        underWay += 1
        result.sent += plan.batch
        guard let descriptor = connections[index]?.descriptor else { return }
        let count = Glibc.send(descriptor, template.bytes, template.bytes.count, Int32(MSG_NOSIGNAL))
        if count == template.bytes.count { return }
        guard count >= 0 || errno == EAGAIN else { return lose(index) }
        connections[index]?.unsent = Array(template.bytes[max(0, count)...])
        loop.rewatch(descriptor, for: [.readable, .writable])
    }

    private func sendRest(_ index: Int) {
        guard let connection = connections[index], !connection.unsent.isEmpty else { return }
        let count = Glibc.send(
            connection.descriptor, connection.unsent, connection.unsent.count, Int32(MSG_NOSIGNAL))
        guard count >= 0 || errno == EAGAIN else { return lose(index) }
        connections[index]?.unsent.removeFirst(max(0, count))
        if connections[index]?.unsent.isEmpty == true { loop.rewatch(connection.descriptor, for: .readable) }
    }

    // MARK: Answers

    private func ready(_ index: Int, _ readiness: Readiness) {
        if readiness.contains(.writable) { sendRest(index) }
        guard readiness.contains(.readable), let connection = connections[index] else { return }
        let count = recv(connection.descriptor, scratch.baseAddress, scratch.count, 0)
        guard count > 0 else {
            if count == 0 || errno != EAGAIN { lose(index) }
            return
        }
        let bytes = UnsafeRawBufferPointer(rebasing: scratch[..<count])
        if connection.received.isEmpty, let head = AnswerHead(bytes), head.length <= count {
            return answered(index, head.status)
        }
        connections[index]?.received.append(contentsOf: bytes)
        let head = connections[index]?.received.withUnsafeBytes { bytes in
            AnswerHead(bytes).flatMap { $0.length <= bytes.count ? $0 : nil }
        }
        guard let head else { return }
        connections[index]?.received.removeAll(keepingCapacity: true)
        answered(index, head.status)
    }

    private func answered(_ index: Int, _ status: Int) {
        guard let connection = connections[index], connection.request >= 0 else { return lose(index) }
        lastAnswer = EventLoop.monotonicNanoseconds()
        if status == 202 { result.latency.record(Int(lastAnswer - connection.due)) }
        result.answered(status, request: connection.request, plan: plan)
        connections[index]?.request = -1
        underWay -= 1
        idle.append(index)
    }

    /// The server closed it, or it failed; what was under way has no answer.
    private func lose(_ index: Int) {
        guard let connection = connections[index] else { return }
        loop.unwatch(connection.descriptor)
        close(connection.descriptor)
        connections[index] = nil
        idle.removeAll { $0 == index }
        open -= 1
        guard connection.request >= 0 else { return }
        underWay -= 1
        unanswered(connection.request)
    }

    private func unanswered(_ request: Int) { result.answered(0, request: request, plan: plan) }
}

/// Why a benchmark cannot go on, for a person.
struct BenchError: Error, Equatable, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
