internal import CLinux
internal import HTTPServing
internal import StandardWebhooks
internal import Synchronization

/// `martlet demo`: one event on its whole way, shown step by step. It starts a receiver, makes a webhook, sends an event, waits for
/// the request, verifies it and asks the API what it knows; the webhook is removed in the end. Throws `DemoError`, which
/// names the step.
public func runDemo(_ options: DemoOptions, output: CommandOutput = .standard) async throws(DemoError) -> DemoResult {
    let arrivals = DemoArrivals()
    let server = ListenReceiver(verifier: nil) { arrivals.add($0) }.server(host: "127.0.0.1", port: 0)
    let port: UInt16
    do {
        port = try await server.start()
    } catch {
        throw DemoError(step: "starting a receiver", reason: "\(error)")
    }
    let demo = Demo(
        options: options, say: options.json ? output.note : output.result, arrivals: arrivals,
        receiverURL: "http://127.0.0.1:\(port)/demo")
    let result: DemoResult
    do throws(DemoError) {
        result = try await demo.run()
    } catch {
        await server.stop(withinMilliseconds: 1_000)
        throw error
    }
    await server.stop(withinMilliseconds: 1_000)
    if options.json { output.result(json: result.write) }
    return result
}

/// What the demo's receiver got: put in by its threads, looked at by the demo's task.
private final class DemoArrivals: Sendable {
    private let receptions = Mutex<[Reception]>([])

    func add(_ reception: Reception) { receptions.withLock { $0.append(reception) } }

    /// The first request for one of these events.
    func first(of eventIDs: [String]) -> Reception? {
        receptions.withLock { receptions in
            receptions.first { eventIDs.contains($0.request.header(WebhookHeaders.id) ?? "") }
        }
    }
}

/// One run of the demo.
private struct Demo {
    /// Marks the demo's webhooks, so that the next run finds what an interrupted one left.
    private static let description = "made by martlet demo"
    private static let resendAfter = Duration.seconds(2)

    let options: DemoOptions
    let say: @Sendable (String) -> Void
    let arrivals: DemoArrivals
    let receiverURL: String
    private let deadline: ContinuousClock.Instant

    init(
        options: DemoOptions, say: @escaping @Sendable (String) -> Void, arrivals: DemoArrivals, receiverURL: String
    ) {
        self.options = options
        self.say = say
        self.arrivals = arrivals
        self.receiverURL = receiverURL
        deadline = .now + .milliseconds(options.timeoutMilliseconds)
    }

    func run() async throws(DemoError) -> DemoResult {
        say("receiver   \(receiverURL)")
        var gateway = try DemoGateway(baseURL: options.gatewayURL)
        let token = try await gateway.logIn(username: options.username, password: options.password)
        say("login      \(options.username) at \(options.gatewayURL)")
        try await gateway.deleteWebhooks(description: Self.description)
        let webhook = try await gateway.createWebhook(
            url: receiverURL, eventType: "demo.*", description: Self.description)
        say("webhook    \(webhook.id) for demo.*")
        do throws(DemoError) {
            let result = try await follow(webhook, gateway, token)
            try await gateway.deleteWebhook(id: webhook.id)
            return result
        } catch {
            // The error that counts is the first one; what stays behind the next run removes.
            try? await gateway.deleteWebhook(id: webhook.id)
            throw error
        }
    }

    private func follow(_ webhook: DemoGateway.CreatedWebhook, _ gateway: DemoGateway, _ token: String)
        async throws(DemoError) -> DemoResult
    {
        let (reception, sentAtMs) = try await sendUntilItArrives(token)
        let eventID = reception.request.header(WebhookHeaders.id) ?? ""
        let arrivedAfter = Int(reception.receivedAtMs - sentAtMs)
        let verified = try verify(reception, webhook.secret)
        say("request    arrived \(arrivedAfter) ms after the event was sent, and is:\n\n\(verified.text)")
        let deliveryID = try await awaitDelivered(eventID, webhook.id, gateway)
        let attempts = try await gateway.attempts(deliveryID: deliveryID)
        for attempt in attempts { say("attempt    \(attempt.text)") }
        return DemoResult(
            eventID: eventID, webhookID: webhook.id, deliveryID: deliveryID, attempts: attempts,
            arrivedAfterMilliseconds: arrivedAfter)
    }

    /// An event may be routed before the new webhook has reached every dispatcher: then nothing arrives, and another one is sent.
    private func sendUntilItArrives(_ token: String) async throws(DemoError) -> (Reception, sentAtMs: Int64) {
        let step = "sending an event"
        var sent: [(id: String, atMs: Int64)] = []
        let poster: EventPoster
        do {
            poster = try EventPoster(baseURL: options.ingestionURL, token: token, patienceMilliseconds: 10_000)
        } catch {
            throw DemoError(step: step, reason: error.description)
        }
        while ContinuousClock.now < deadline {
            let event = SendEvent(
                id: "demo-" + SendEventBody.newID(), type: "demo.greeting", source: "martlet-demo",
                data: #"{"message":"Hello from Martlet"}"#)
            sent.append((event.id ?? "", clinux_realtime_ms()))
            switch await poster.post(try body(of: event, step)) {
            case .accepted(let id, _): say("event      \(printable(id)) accepted by \(options.ingestionURL)")
            case .refused(let reason), .gaveUp(let reason): throw DemoError(step: step, reason: reason)
            }
            let until = min(deadline, .now + Self.resendAfter)
            while ContinuousClock.now < until {
                if let reception = arrivals.first(of: sent.map(\.id)) {
                    let id = reception.request.header(WebhookHeaders.id)
                    return (reception, sent.first { $0.id == id }?.atMs ?? reception.receivedAtMs)
                }
                try await pause(milliseconds: 2, step)
            }
        }
        throw DemoError(
            step: "waiting for the request",
            reason: "none of \(sent.count) events arrived at \(receiverURL) within \(options.timeoutMilliseconds) ms")
    }

    private func body(of event: SendEvent, _ step: String) throws(DemoError) -> [UInt8] {
        do {
            return try SendEventBody.body(of: event)
        } catch {
            throw DemoError(step: step, reason: error.description)
        }
    }

    private func verify(_ reception: Reception, _ secret: String) throws(DemoError) -> Reception {
        do {
            try WebhookVerifier(keys: [secret]).verify(
                headers: reception.request.headers, body: reception.request.body,
                nowSeconds: reception.receivedAtMs / 1_000)
        } catch {
            throw DemoError(step: "verifying the signature", reason: "\(error)")
        }
        var verified = reception
        verified.signature = .verified
        return verified
    }

    /// The delivery's id, once the API calls it delivered.
    private func awaitDelivered(_ eventID: String, _ webhookID: String, _ gateway: DemoGateway)
        async throws(DemoError) -> String
    {
        let step = "waiting for the delivery in the API"
        var last = "it does not know the event yet"
        while ContinuousClock.now < deadline {
            if let delivery = try await gateway.delivery(eventID: eventID, webhookID: webhookID) {
                if delivery.status == "delivered" {
                    say("delivery   \(delivery.id): delivered")
                    return delivery.id
                }
                last = "it says \(delivery.status)" + (delivery.lastReason.map { " (\($0))" } ?? "")
                if delivery.status == "dead" || delivery.status == "cancelled" { break }
            }
            try await pause(milliseconds: 20, step)
        }
        throw DemoError(step: step, reason: printable(last))
    }

    private func pause(milliseconds: Int, _ step: String) async throws(DemoError) {
        do {
            try await Task.sleep(for: .milliseconds(milliseconds))
        } catch {
            throw DemoError(step: step, reason: "cancelled")
        }
    }
}
