internal import CLinux
internal import HTTPServing

/// What the demo's parts share: who prints, who answers, and how long things are waited for. Each part gets one of its own, for the
/// time runs from its making.
struct DemoStage: Sendable {
    /// Marks the demo's webhooks, so that the next run finds what an interrupted one left.
    static let description = "made by martlet demo"
    private static let resendAfter = Duration.seconds(2)

    let options: DemoOptions
    let gateway: DemoGateway
    /// For event-ingestion.
    let token: String
    let receiver: DemoReceiver
    let receiverURL: String
    let say: @Sendable (String) -> Void
    private let deadline: ContinuousClock.Instant

    init(
        options: DemoOptions, gateway: DemoGateway, token: String, receiver: DemoReceiver, receiverURL: String,
        say: @escaping @Sendable (String) -> Void
    ) {
        self.options = options
        self.gateway = gateway
        self.token = token
        self.receiver = receiver
        self.receiverURL = receiverURL
        self.say = say
        deadline = .now + .milliseconds(options.timeoutMilliseconds)
    }

    /// Makes a webhook, hands it to `body`, and removes it, however that ends.
    /// - Parameter note: what is said about it, beside its id.
    func withWebhook<Result>(
        _ endpoint: DemoReceiver.Endpoint, eventType: String, scheduleMs: [Int]? = nil, note: String,
        _ body: (DemoGateway.CreatedWebhook) async throws(DemoError) -> Result
    ) async throws(DemoError) -> Result {
        let webhook = try await gateway.createWebhook(
            url: receiverURL + endpoint.rawValue, eventType: eventType, scheduleMs: scheduleMs,
            description: Self.description)
        say("webhook    \(webhook.id) \(note)")
        do throws(DemoError) {
            let result = try await body(webhook)
            try await gateway.deleteWebhook(id: webhook.id)
            return result
        } catch {
            // The error that counts is the first one; what stays behind the next run removes.
            try? await gateway.deleteWebhook(id: webhook.id)
            throw error
        }
    }

    /// An event may be routed before the new webhook has reached every dispatcher: then nothing arrives, and another one is sent.
    /// Returns the first request, and when its event was sent.
    func sendUntilItArrives(at endpoint: DemoReceiver.Endpoint, type: String)
        async throws(DemoError) -> (Reception, sentAtMs: Int64)
    {
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
                id: "demo-" + SendEventBody.newID(), type: type, source: "martlet-demo",
                data: #"{"message":"Hello from Martlet"}"#)
            sent.append((event.id ?? "", clinux_realtime_ms()))
            switch await poster.post(try body(of: event, step)) {
            case .accepted(let id, _): say("event      \(printable(id)) accepted by \(options.ingestionURL)")
            case .refused(let reason), .gaveUp(let reason): throw DemoError(step: step, reason: reason)
            }
            let until = min(deadline, .now + Self.resendAfter)
            while ContinuousClock.now < until {
                if let reception = receiver.first(endpoint, of: sent.map(\.id)) {
                    let eventID = reception.request.eventID
                    return (reception, sent.first { $0.id == eventID }?.atMs ?? reception.receivedAtMs)
                }
                try await pause(milliseconds: 2, step)
            }
        }
        throw DemoError(
            step: "waiting for the request",
            reason: "none of \(sent.count) events arrived at \(receiverURL)\(endpoint.rawValue) within "
                + "\(options.timeoutMilliseconds) ms")
    }

    private func body(of event: SendEvent, _ step: String) throws(DemoError) -> [UInt8] {
        do {
            return try SendEventBody.body(of: event)
        } catch {
            throw DemoError(step: step, reason: error.description)
        }
    }

    /// Request number `number` (from 1) for an event, once it has arrived.
    func arrival(_ number: Int, at endpoint: DemoReceiver.Endpoint, eventID: String)
        async throws(DemoError) -> Reception
    {
        try await eventually(
            "waiting for request \(number)", pausingMs: 2, otherwise: "it did not arrive"
        ) { () throws(DemoError) -> Reception? in
            receiver.requests(endpoint, eventID: eventID).dropFirst(number - 1).first
        }
    }

    /// The delivery of an event to a webhook, once the API calls it this.
    func delivery(_ eventID: String, to webhookID: String, is status: String) async throws(DemoError) -> String {
        try await delivery(is: status) { () throws(DemoError) in
            try await gateway.delivery(eventID: eventID, webhookID: webhookID)
        }
    }

    /// A delivery, once the API calls it this.
    func delivery(_ id: String, is status: String) async throws(DemoError) -> String {
        try await delivery(is: status) { () throws(DemoError) in try await gateway.delivery(id: id) }
    }

    private func delivery(
        is status: String, _ ask: () async throws(DemoError) -> DemoGateway.Delivery?
    ) async throws(DemoError) -> String {
        let step = "waiting for the delivery in the API"
        var last = "it does not know the delivery yet"
        while ContinuousClock.now < deadline {
            if let delivery = try await ask() {
                if delivery.status == status { return delivery.id }
                last = "it says \(delivery.status)" + (delivery.lastReason.map { " (\($0))" } ?? "")
                if ["delivered", "dead", "cancelled"].contains(delivery.status) { break }
            }
            try await pause(milliseconds: 20, step)
        }
        throw DemoError(step: step, reason: printable(last))
    }

    /// What `probe` finds, asked again and again until it finds something or the time is up.
    func eventually<Found>(
        _ step: String, pausingMs: Int = 20, otherwise reason: String,
        _ probe: () async throws(DemoError) -> Found?
    ) async throws(DemoError) -> Found {
        while ContinuousClock.now < deadline {
            if let found = try await probe() { return found }
            try await pause(milliseconds: pausingMs, step)
        }
        throw DemoError(step: step, reason: "\(reason) within \(options.timeoutMilliseconds) ms")
    }

    private func pause(milliseconds: Int, _ step: String) async throws(DemoError) {
        do {
            try await Task.sleep(for: .milliseconds(milliseconds))
        } catch {
            throw DemoError(step: step, reason: "cancelled")
        }
    }
}
