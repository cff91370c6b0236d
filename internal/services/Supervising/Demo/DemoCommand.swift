internal import HTTPServing

/// `martlet demo`: an event on its whole way, one that is retried, and one that is given up and requeued, shown step by step. It starts
/// a receiver, makes webhooks, sends events, waits for the requests and asks the API what it knows; the webhooks are removed in
/// the end. Every wait is bounded. Throws `DemoError`, which names the step.
public func runDemo(_ options: DemoOptions, output: CommandOutput = .standard) async throws(DemoError) -> DemoResult {
    let receiver = DemoReceiver()
    let server = receiver.server()
    let port: UInt16
    do {
        port = try await server.start()
    } catch {
        throw DemoError(step: "starting a receiver", reason: "\(error)")
    }
    let result: DemoResult
    do throws(DemoError) {
        result = try await runParts(
            options, receiver, "http://127.0.0.1:\(port)", say: options.json ? output.note : output.result)
    } catch {
        await server.stop(withinMilliseconds: 1_000)
        throw error
    }
    await server.stop(withinMilliseconds: 1_000)
    if options.json { output.result(json: result.write) }
    return result
}

private func runParts(
    _ options: DemoOptions, _ receiver: DemoReceiver, _ receiverURL: String, say: @escaping @Sendable (String) -> Void
) async throws(DemoError) -> DemoResult {
    say("receiver   \(receiverURL)")
    var gateway = try DemoGateway(baseURL: options.gatewayURL)
    let token = try await gateway.logIn(username: options.username, password: options.password)
    say("login      \(options.username) at \(options.gatewayURL)")
    try await gateway.deleteWebhooks(description: DemoStage.description)
    let ready = gateway
    func stage() -> DemoStage {
        DemoStage(
            options: options, gateway: ready, token: token, receiver: receiver, receiverURL: receiverURL, say: say)
    }
    return DemoResult(
        delivered: try await stage().deliverOne(), retried: try await stage().retryUntilItWorks(),
        requeued: try await stage().giveUpAndRequeue())
}
