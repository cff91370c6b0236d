import CLinux
import EventLoops
import Glibc
import JSONScanning

/// Every webhook's endpoint: takes deliveries, counts them, and misbehaves when told to. Raw sockets on one thread, like the generator.
///
///     POST /w/000042                       a delivery to webhook 42
///     GET  /arrivals                       what has arrived, as JSON
///     GET  /missing?events=1000&first=0    the events of which a delivery has not arrived
///     POST /run?run=2&fan-out=10           forgets everything and counts this run
///     POST /behaviour?is=fail:503&permille=300
final class Receiver {
    private struct Connection {
        var received: [UInt8] = []
        /// Set anew for each connection on a descriptor, so that an answer given later does not reach the next one.
        var generation = 0
        var isOpen = false
    }

    private static let answer = Array("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".utf8)
    private static let missingLimit = 100_000

    private let loop: EventLoop
    private let listener: Int32
    /// Where it listens on 127.0.0.1.
    let port: UInt16
    /// By descriptor.
    private var connections: [Connection] = []
    private var arrivals = Arrivals(run: 0, fanOut: 1)
    private var behaviours = Behaviours()
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)

    /// - Parameter port: 0 for any. Throws where it is taken.
    init(port: UInt16) throws {
        loop = try EventLoop()
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var one: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = loopbackAddress(port)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, listen(listener, 4_096) == 0 else {
            throw BenchError("127.0.0.1:\(port): \(String(cString: strerror(errno)))")
        }
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
        }
        self.port = UInt16(bigEndian: address.sin_port)
        self.listener = listener
        try loop.watch(listener, for: .readable) { [unowned self] _ in accept() }
    }

    deinit {
        close(listener)
        scratch.deallocate()
    }

    /// Blocks for as long as the process lives.
    func run() { loop.run() }

    private func accept() {
        for _ in 0..<64 {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            while connections.count <= Int(descriptor) { connections.append(Connection()) }
            connections[Int(descriptor)].generation += 1
            connections[Int(descriptor)].isOpen = true
            connections[Int(descriptor)].received.removeAll(keepingCapacity: true)
            do {
                try loop.watch(descriptor, for: .readable) { [unowned self] _ in readable(descriptor) }
            } catch {
                hangUp(descriptor)
            }
        }
    }

    private func readable(_ descriptor: Int32) {
        let count = recv(descriptor, scratch.baseAddress, scratch.count, 0)
        guard count > 0 else {
            if count == 0 || errno != EAGAIN { hangUp(descriptor) }
            return
        }
        let bytes = UnsafeRawBufferPointer(rebasing: scratch[..<count])
        let slot = Int(descriptor)
        guard connections[slot].received.isEmpty else {
            connections[slot].received.append(contentsOf: bytes)
            let taken = connections[slot].received.withUnsafeBytes { take($0, descriptor) }
            connections[slot].received.removeFirst(taken)
            return
        }
        let taken = take(bytes, descriptor)
        if taken < count { connections[slot].received.append(contentsOf: bytes[taken...]) }
    }

    /// Takes the whole requests that lie at the front. Returns their length.
    private func take(_ bytes: UnsafeRawBufferPointer, _ descriptor: Int32) -> Int {
        var rest = bytes
        while !rest.isEmpty {
            switch DeliveredRequest.read(rest) {
            case .incomplete: return bytes.count - rest.count
            case .malformed:
                hangUp(descriptor)
                return bytes.count
            case .request(let request):
                take(request, descriptor)
                rest = UnsafeRawBufferPointer(rebasing: rest[request.length...])
            }
        }
        return bytes.count
    }

    private func take(_ request: DeliveredRequest, _ descriptor: Int32) {
        guard let hook = request.hook else {
            let (status, body) = control(String(decoding: request.target, as: UTF8.self))
            return answer(descriptor, status, body)
        }
        let behaviour = behaviours.of(hook)
        switch behaviour {
        case .answer: break
        case .hang: return
        case .fail(let status):
            arrivals.refused += 1
            return answer(descriptor, status)
        case .delay, .drip: break
        }
        if let numbers = request.numbers {
            arrivals.arrived(
                run: numbers.run, event: numbers.event, hook: hook, due: numbers.due,
                now: EventLoop.monotonicNanoseconds(), isBystander: behaviours.isBystander(hook))
        } else {
            arrivals.foreign += 1
        }
        switch behaviour {
        case .delay(let milliseconds): later(descriptor, milliseconds) { $0.send(descriptor, Self.answer[...]) }
        case .drip: drip(descriptor, Self.answer[...])
        default: send(descriptor, Self.answer[...])
        }
    }

    // MARK: Answers

    private func send(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) {
        // Answers are far smaller than a socket's buffer; an endpoint's peer that does not read them is hung up on.
        let count = bytes.withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count != bytes.count { hangUp(descriptor) }
    }

    private func answer(_ descriptor: Int32, _ status: Int, _ body: String = "") {
        let text = "HTTP/1.1 \(status) -\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
        send(descriptor, Array(text.utf8)[...])
    }

    private func drip(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) {
        guard !bytes.isEmpty else { return }
        send(descriptor, bytes.prefix(1))
        later(descriptor, 100) { $0.drip(descriptor, bytes.dropFirst()) }
    }

    /// Does something later, if the connection is still the same.
    private func later(_ descriptor: Int32, _ milliseconds: UInt64, _ work: @escaping (Receiver) -> Void) {
        let generation = connections[Int(descriptor)].generation
        loop.after(milliseconds: milliseconds) { [unowned self] in
            let connection = connections[Int(descriptor)]
            if connection.isOpen, connection.generation == generation { work(self) }
        }
    }

    private func hangUp(_ descriptor: Int32) {
        guard connections[Int(descriptor)].isOpen else { return }
        connections[Int(descriptor)].isOpen = false
        loop.unwatch(descriptor)
        close(descriptor)
    }

    // MARK: Control

    private func control(_ target: String) -> (status: Int, body: String) {
        let parts = target.split(separator: "?", maxSplits: 1)
        var query: [Substring: Substring] = [:]
        for pair in parts.dropFirst().first?.split(separator: "&") ?? [] {
            let words = pair.split(separator: "=", maxSplits: 1)
            if words.count == 2 { query[words[0]] = words[1] }
        }
        func number(_ name: Substring) -> Int? { query[name].flatMap { Int($0) } }
        switch parts.first {
        case "/arrivals":
            return (200, jsonText { arrivals.write(to: &$0) })
        case "/missing":
            let first = number("first") ?? 0
            let missing = arrivals.missing(in: first..<first + (number("events") ?? 0), limit: Self.missingLimit)
            return (
                200,
                jsonText {
                    $0.key("missing"); $0.array { writer in missing.forEach { writer.integer($0) } }
                }
            )
        case "/run":
            arrivals = Arrivals(run: number("run") ?? 0, fanOut: max(1, number("fan-out") ?? 1))
            behaviours = Behaviours()
            return (200, "")
        case "/behaviour":
            guard let behaviour = query["is"].flatMap({ Behaviour(String($0)) }) else { return (400, "") }
            behaviours = Behaviours(misbehaviour: behaviour, permille: number("permille") ?? 1_000)
            return (200, "")
        default: return (404, "")
        }
    }
}

/// A port that nobody listens on now.
func unusedPort() throws -> UInt16 {
    let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(probe) }
    var address = loopbackAddress(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(probe, $0, length) == 0 && getsockname(probe, $0, &length) == 0
        }
    }
    guard isBound else { throw BenchError("no port: \(String(cString: strerror(errno)))") }
    return UInt16(bigEndian: address.sin_port)
}

func loopbackAddress(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
}
