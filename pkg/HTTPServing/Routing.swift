internal import Glibc

/// A route whose handler is called with a copy of the request, as a task.
public struct HTTPRoute: Sendable {
    public typealias Handler = @Sendable (HTTPRequest) async -> HTTPResponse

    public var method: String
    /// `/api/v1/webhooks/{id}`: a segment in braces takes any one segment that is not empty. `/{rest...}`: one with dots, at
    /// the end, takes whatever follows, be it nothing, and as it came.
    public var pattern: String
    public var handler: Handler

    public init(_ method: String, _ pattern: String, handler: @escaping Handler) {
        self.method = method
        self.pattern = pattern
        self.handler = handler
    }
}

/// A route whose handler is called on the loop's thread, with the request where it lies, and answers from there, now or later.
public struct DirectRoute {
    public typealias Handler = (borrowing DirectRequest, HTTPResponder) -> Void

    public var method: String
    /// The whole path.
    public var path: String
    /// Where it takes larger bodies than the server's other routes: how large ones.
    public var maximumBodyBytes: Int
    public var handler: Handler

    public init(_ method: String, _ path: String, maximumBodyBytes: Int = 0, handler: @escaping Handler) {
        self.method = method
        self.path = path
        self.maximumBodyBytes = maximumBodyBytes
        self.handler = handler
    }
}

/// Finds the direct route of a request, by bytes.
struct DirectRouteTable {
    private let entries: [(method: [UInt8], path: [UInt8], route: DirectRoute)]

    init(_ routes: [DirectRoute]) {
        entries = routes.map { (Array($0.method.utf8), Array($0.path.utf8), $0) }
    }

    func find(_ method: UnsafeRawBufferPointer, _ path: UnsafeRawBufferPointer) -> DirectRoute? {
        for entry in entries where Self.equal(entry.path, path) && Self.equal(entry.method, method) {
            return entry.route
        }
        return nil
    }

    private static func equal(_ expected: [UInt8], _ found: UnsafeRawBufferPointer) -> Bool {
        guard expected.count == found.count else { return false }
        return expected.withUnsafeBytes { expected in
            guard let expected = expected.baseAddress, let address = found.baseAddress else { return true }
            return memcmp(expected, address, found.count) == 0
        }
    }

    /// The largest body that one of them takes.
    var maximumBodyBytes: Int { entries.map(\.route.maximumBodyBytes).max() ?? 0 }

    /// The methods that a path has.
    func methods(path: String) -> [String] { entries.filter { $0.route.path == path }.map(\.route.method) }
}

/// Finds the route of a request. Exact segments come before `{name}`s; of two like patterns the first one given counts.
struct RouteTable: Sendable {
    enum Match {
        case route(Int, parameters: [String: String])
        /// The path is known, with these methods.
        case otherMethods([String])
        case none
    }

    private struct Entry: Sendable {
        var method: String
        var segments: [Segment]
        var route: Int
    }

    private enum Segment: Sendable, Equatable {
        case exact(Substring)
        case parameter(String)
        case rest(String)
    }

    private let entries: [Entry]

    init(_ routes: [HTTPRoute]) {
        entries = routes.enumerated().map { index, route in
            Entry(method: route.method, segments: Self.split(route.pattern).map(Self.segment), route: index)
        }
    }

    private static func split(_ path: String) -> [Substring] {
        path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map { $0 }
    }

    private static func segment(_ text: Substring) -> Segment {
        guard text.hasPrefix("{"), text.hasSuffix("}") else { return .exact(text) }
        let name = text.dropFirst().dropLast()
        return name.hasSuffix("...") ? .rest(String(name.dropLast(3))) : .parameter(String(name))
    }

    func match(method: String, path: String) -> Match {
        let segments = Self.split(path)
        var best: (entry: Entry, parameters: [String: String])?
        var methods: [String] = []
        for entry in entries {
            guard let parameters = Self.parameters(entry.segments, segments) else { continue }
            // The server sends a HEAD's answer without its body.
            if entry.method != method, !(method == "HEAD" && entry.method == "GET") {
                methods.append(entry.method)
            } else if best == nil || parameters.count < best!.parameters.count {
                best = (entry, parameters)
            }
        }
        if let best { return .route(best.entry.route, parameters: best.parameters) }
        return methods.isEmpty ? .none : .otherMethods(methods)
    }

    private static func parameters(_ pattern: [Segment], _ path: [Substring]) -> [String: String]? {
        var found: [String: String] = [:]
        var pattern = pattern[...]
        var path = path[...]
        if case .rest(let name)? = pattern.last {
            pattern.removeLast()
            guard path.count >= pattern.count else { return nil }
            found[name] = path.dropFirst(pattern.count).joined(separator: "/")
            path = path.prefix(pattern.count)
        }
        guard pattern.count == path.count else { return nil }
        for (segment, text) in zip(pattern, path) {
            switch segment {
            case .exact(let expected): if expected != text { return nil }
            case .parameter(let name):
                guard !text.isEmpty, let value = percentDecoded(text) else { return nil }
                found[name] = value
            case .rest: return nil
            }
        }
        return found
    }
}
