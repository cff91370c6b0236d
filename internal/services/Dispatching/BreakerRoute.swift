internal import CLinux
internal import Delivering
internal import HTTPServing
internal import JSONScanning
internal import ServiceSupport

/// How a webhook's gate stands in this process, for the gateway, which knows the internal token and passes the tenant.
struct BreakerRoute: Sendable {
    let settings: InternalSettings
    let standing: @Sendable (_ id: String, _ tenant: String, _ now: UInt64) -> GateStanding?

    var route: HTTPRoute {
        HTTPRoute("GET", "/internal/v1/breakers/{id}") { request in
            guard settings.allows(request) else {
                return HTTPProblem.unauthorized("The internal token is missing or wrong.").response
            }
            let tenant = request.queryItems.first { $0.name == "tenant" }?.value ?? ""
            let (now, nowMs) = (clinux_monotonic_ns(), clinux_realtime_ms())
            guard let standing = standing(request.parameters["id"] ?? "", tenant, now) else {
                return HTTPProblem.notFound("This dispatcher knows no such webhook.").response
            }
            return .json(Self.json(standing, now: now, nowMs: nowMs))
        }
    }

    /// - Parameters:
    ///   - now: monotonic nanoseconds.
    ///   - nowMs: the same moment in milliseconds since 1970.
    static func json(_ standing: GateStanding, now: UInt64, nowMs: Int64) -> [UInt8] {
        func time(_ at: UInt64) -> Int64 { nowMs + (Int64(bitPattern: at) - Int64(bitPattern: now)) / 1_000_000 }
        var json = JSONWriter()
        json.object { json in
            json.member("state", name(standing.breaker, now: now))
            json.key("open_until")
            if case .open(let until) = standing.breaker, now < until { json.time(time(until)) } else { json.null() }
            json.member("requests", standing.requests)
            json.member("failures", standing.failures)
            json.key("failing_since")
            standing.failingSince.map { json.time(time($0)) } ?? json.null()
            json.member("in_flight", standing.running)
            json.member("limit", standing.limit)
        }
        return json.bytes
    }

    /// One whose time is over lets the next request through, as a half-open one does.
    private static func name(_ state: CircuitBreaker.State, now: UInt64) -> String {
        if state == .closed { return "closed" }
        if case .open(let until) = state, now < until { return "open" }
        return "half_open"
    }
}
