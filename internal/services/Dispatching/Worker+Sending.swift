internal import CLinux
internal import Cryptography
internal import Delivering
internal import EventLoops
internal import HTTPSending
internal import Kafka
internal import Logs
internal import Metrics
internal import Records
internal import ServiceSupport
internal import Settling
internal import StandardWebhooks

/// Making requests, and what their ends mean.
extension Worker {
    // MARK: One request

    func start(_ delivery: Delivery, _ permit: WebhookGate.Permit) {
        guard let webhook = delivery.webhook else { preconditionFailure("admitted without a webhook") }
        // An event's record may have no value: its body is empty then.
        let payload = delivery.source.payload ?? UnsafeRawBufferPointer(start: nil, count: 0)
        let nowMs = clinux_realtime_ms()
        delivery.beginOutcome(requestID: random.next(), startedAtMs: nowMs)
        do {
            try buildLines(delivery, webhook, payload, nowMs)
        } catch {
            open.release()
            _ = webhook.gate.ended(permit, .nothing, now: loop.now, nowMs: clinux_realtime_ms())
            park(delivery, .parked(reason: "not_signed"))
            log.error("a request cannot be signed", metadata: ["webhook": "\(webhook.id)", "error": "\(error)"])
            return
        }
        delivery.isOpen = true
        delivery.source.partition.busy += 1
        let request = HTTPSendRequest(
            endpoint: webhook.endpoint, headers: lines, body: payload, timeoutMilliseconds: webhook.timeoutMs,
            connectTimeoutMilliseconds: min(webhook.timeoutMs, settings.connectTimeoutMs))
        metrics.attempts.increment()
        let began = loop.now
        window.started(now: began)
        let place = running.insert(delivery)
        delivery.request = sender.send(request) { [unowned self] _, result in
            _ = running.remove(place)
            window.ended(startedAt: began, now: loop.now)
            finished(delivery, webhook, permit, result)
        }
    }

    private func buildLines(
        _ delivery: Delivery, _ webhook: CompiledWebhook, _ payload: UnsafeRawBufferPointer, _ nowMs: Int64
    ) throws {
        let seconds = nowMs / 1_000
        lines.removeAll()
        lines.append(contentsOf: webhook.lines)
        lines.joins = true
        delivery.source.fields.appendRequestLines(to: &lines)
        lines.append("webhook-id", delivery.source.messageID)
        lines.append("webhook-timestamp", String(seconds))
        lines.append("webhook-attempt", String(delivery.attempts))
        if webhook.needsUserAgent { lines.append("user-agent", Self.userAgent) }
        var id = delivery.source.messageID
        try id.withUTF8 { id in
            _ = try lines.append("webhook-signature") { value in
                try signer.sign(
                    id: UnsafeRawBufferPointer(id), timestampSeconds: seconds, body: payload,
                    keys: webhook.signingKeys(at: nowMs), appendingTo: &value)
            }
        }
        if let key = webhook.hubKey(at: nowMs) {
            let code = try signer.hexCode(of: payload, key: key)
            lines.append("x-hub-signature-256", "sha256=" + code)
        }
    }

    private static let userAgent = "Martlet/\(martletVersion)"

    private func finished(
        _ delivery: Delivery, _ webhook: CompiledWebhook, _ permit: WebhookGate.Permit, _ result: HTTPSendResult
    ) {
        let partition = delivery.source.partition
        partition.busy -= 1
        if partition.isLost, result.failure == .aborted {
            // Its new owner sees it unsettled and makes the request itself.
            open.release()
            _ = webhook.gate.ended(permit, .nothing, now: loop.now, nowMs: clinux_realtime_ms())
            return
        }
        delivery.ticket = unacknowledged.add(now: loop.now)
        let end = RequestEnd(result)
        var (verdict, effects) = settings.classification.classify(end)
        note(end, webhook.endpoint.host, &verdict)
        let nowMs = clinux_realtime_ms()
        heed(webhook.gate.ended(permit, GateReport(verdict, effects), now: loop.now, nowMs: nowMs), webhook, nowMs)
        delivery.outcome.status = UInt32(clamping: result.status)
        delivery.outcome.durationUs = UInt64(clamping: result.durationMicroseconds)
        if verdict != .delivered { delivery.outcome.response = result.body }
        metrics.finished(verdict, microseconds: result.durationMicroseconds)
        let next = webhook.retries.next(
            after: verdict, attempt: Int(delivery.attempts), parkedBefore: delivery.parkedBefore,
            retryAfterMs: result.header("retry-after").flatMap { retryAfterMs($0, now: nowMs) },
            random: Double(random.next() >> 11) * 0x1p-53)
        if effects.contains(.gone) { write(signal: .gone, webhook, nowMs) }
        conclude(delivery, next, verdict: verdict)
        startWaiting(of: webhook.id)
    }

    /// Where most hosts fail to resolve it is the resolver, and no endpoint's fault.
    private func note(_ end: RequestEnd, _ host: String, _ verdict: inout Verdict) {
        if end == .failed(.resolve) {
            if resolver.failed(host: host, now: loop.now) { verdict = .parked(reason: "resolver_down") }
        } else if case .answered = end {
            resolver.reached(host: host, now: loop.now)
        }
    }

    private func heed(_ news: GateNews, _ webhook: CompiledWebhook, _ nowMs: Int64) {
        if let since = news.failingSince {
            let sinceMs = nowMs - Int64((loop.now - min(loop.now, since)) / 1_000_000)
            write(signal: .failingSince, webhook, nowMs, sinceMs: sinceMs)
        }
        if news.hasRecovered { write(signal: .recovered, webhook, nowMs) }
        guard let isOpen = news.isOpen else { return }
        metrics.breakers.labelled(isOpen ? "open" : "closed").increment()
        log.notice(
            isOpen ? "a webhook's breaker opened: most of its requests failed" : "a webhook's breaker closed again",
            metadata: ["webhook": "\(webhook.id)", "tenant": "\(webhook.tenant)"])
    }

    // MARK: Verdicts

    /// Puts a delivery aside for which no request was made.
    /// - Parameter delayMs: It is not worth looking at it again before.
    func park(_ delivery: Delivery, _ verdict: Verdict, delayMs: Int64? = nil) {
        let retries = delivery.webhook?.retries ?? settings.webhookDefaults.retries
        let next = retries.next(
            after: verdict, attempt: Int(delivery.attemptsBefore), parkedBefore: delivery.parkedBefore,
            retryAfterMs: delayMs, random: Double(random.next() >> 11) * 0x1p-53)
        metrics.parked.labelled(verdict.reason).increment()
        conclude(delivery, next, verdict: verdict)
    }

    /// Closes a delivery that a user wants no more.
    func cancel(_ delivery: Delivery) {
        delivery.beginOutcome(requestID: random.next(), startedAtMs: clinux_realtime_ms())
        delivery.outcome.kind = .cancelled
        delivery.outcome.reason = "cancelled"
        begin(writing: delivery)
    }

    /// Completes the outcome and begins the writes that it takes.
    func conclude(_ delivery: Delivery, _ next: RetryPolicy.Next, verdict: Verdict? = nil) {
        let nowMs = clinux_realtime_ms()
        if delivery.outcome.delivery == nil { delivery.beginOutcome(requestID: random.next(), startedAtMs: nowMs) }
        switch verdict {
        case .retryable(let reason), .unknown(let reason), .permanent(let reason):
            delivery.failure = (reason, delivery.outcome.status)
            delivery.outcome.attempt = delivery.attempts
        case .delivered: delivery.outcome.attempt = delivery.attempts
        case .parked, nil: break
        }
        delivery.outcome.reason = verdict?.reason ?? ""
        switch next {
        case .delivered: delivery.outcome.kind = .delivered
        case .again(let delayMs, let spent):
            delivery.outcome.kind = spent ? .failed : .parked
            delivery.outcome.dueAtMs = nowMs + delayMs
            delivery.outcome.generation = delivery.nextGeneration
        case .giveUp(let reason): delivery.giveUp(reason)
        }
        begin(writing: delivery)
    }

    private func begin(writing delivery: Delivery) {
        delivery.source.partition.busy += 1
        perform(delivery.progress.decided(carriesOn: delivery.outcome.kind.carriesOn), delivery)
    }
}

extension Outcome.Kind {
    /// Whether the payload goes to `retries` or `dead-letters`.
    fileprivate var carriesOn: Bool { self == .failed || self == .parked || self == .dead }
}

extension RequestEnd {
    /// A status is an answer, even where more follows it than is read; where the connection ends before the answer does, it is none.
    init(_ result: HTTPSendResult) {
        let answer = RequestEnd.answered(status: result.status, retryAfter: result.header("retry-after"))
        guard let failure = result.failure else {
            self = answer
            return
        }
        switch failure {
        case .resolve: self = .failed(.resolve)
        case .connect: self = .failed(.connect)
        case .tls: self = .failed(.tls)
        case .timeout: self = .failed(.timeout)
        case .aborted: self = .failed(.interrupted)
        case .tooLarge: self = result.status > 0 ? answer : .failed(.answerTooLarge)
        case .deniedAddress: self = .failed(.deniedAddress)
        case .noDescriptors: self = .failed(.noDescriptors)
        case .closed: self = .failed(.reset)
        case .protocolViolation: self = .failed(.protocolViolation)
        case .other: self = .failed(.other)
        }
    }
}
