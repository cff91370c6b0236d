/// The kinds of fault that a world can have. A new one is a case here, an `Action`, and what the world does then (`World.perform`).
enum FaultKind: CaseIterable {
    case gaps, users, changes, endpoints
    case dispatcherCrashes, dispatcherFreezes, dispatcherStops
    case managerCrashes, managerFreezes, managerStops
    case clocks
    case kafkaDown, kafkaSlow, acknowledgements, compaction, retention, overrun
    case redisWiped, redisRestarts, redisKeys, redisFull, redisAnswers

    /// One fault of this kind.
    func action(_ figures: Figures, _ webhooks: Int, _ random: inout Generator) -> Scenario.Action {
        let partition = random.below(figures.partitions)
        switch self {
        case .gaps: return .gap(random.pick([.events, .deliveries]), partition: partition, count: 1 + random.below(3))
        case .users: return users(&random)
        case .changes: return .change(webhook: random.below(webhooks), change(&random))
        case .endpoints:
            return .behave(webhook: random.below(webhooks), random.chance(30) ? .well : .random(&random))
        case .dispatcherCrashes, .dispatcherFreezes, .dispatcherStops:
            return process(.dispatcher, figures.dispatchers, &random)
        case .managerCrashes, .managerFreezes, .managerStops: return process(.manager, figures.managers, &random)
        case .clocks: return clock(figures, &random)
        case .kafkaDown: return .kafkaDown(ms: random.within(100...12_000))
        case .kafkaSlow: return .kafkaSlow(byMs: random.within(100...2_500), forMs: random.within(500...5_000))
        case .acknowledgements:
            return .acknowledgementsLost(percent: 10 + random.below(60), forMs: random.within(300...3_000))
        case .compaction:
            return .compaction(partition: partition, dirty: random.below(6), dropsTombstones: random.chance(50))
        case .retention: return .retention(partition: partition)
        case .overrun: return .overrun(partition: partition, count: 1 + random.below(5))
        case .redisWiped: return .redisWiped
        case .redisRestarts: return .redisRestarts(afterMs: random.within(0...8_000), isEmpty: random.chance(30))
        case .redisKeys: return .redisLosesKey(partition: partition, key: random.pick([.at, .due, .lanes]))
        case .redisFull: return .redisFull(ms: random.within(100...5_000))
        case .redisAnswers: return .redisAnswersLost(percent: 5 + random.below(50), forMs: random.within(300...3_000))
        }
    }

    private func users(_ random: inout Generator) -> Scenario.Action {
        switch random.below(3) {
        case 0: .retryNow(random.below(100))
        case 1: .cancel(random.below(100))
        default: .resend(random.below(100))
        }
    }

    private func change(_ random: inout Generator) -> Scenario.Change {
        switch random.below(7) {
        case 0: .disable
        case 1: .enable
        case 2: .delete
        case 3: .pause
        case 4: .resume
        case 5: .takes(type: random.below(Scenario.types))
        default: .takesNot(type: random.below(Scenario.types))
        }
    }

    private func process(_ service: Scenario.Service, _ count: Int, _ random: inout Generator) -> Scenario.Action {
        let number = random.below(count)
        // Back at once, within its session or after it.
        let back = random.chance(40) ? random.within(10...300) : random.within(300...9_000)
        switch self {
        case .dispatcherFreezes, .managerFreezes: return .freeze(service, number, ms: random.within(100...10_000))
        case .dispatcherStops, .managerStops: return .stop(service, number, backAfterMs: back)
        default:
            return .crash(
                service, number, steps: random.below(30), amidWork: random.chance(70), backAfterMs: back)
        }
    }

    private func clock(_ figures: Figures, _ random: inout Generator) -> Scenario.Action {
        let service = random.chance(50) ? Scenario.Service.dispatcher : .manager
        let number = random.below(service == .dispatcher ? figures.dispatchers : figures.managers)
        // An hour, as far as such short lives can tell.
        let by = random.within(1_000...60_000)
        return .clock(service, number, byMs: random.chance(50) ? by : -by, forMs: random.within(500...8_000))
    }
}
