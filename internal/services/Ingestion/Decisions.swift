internal import Kafka

// What happens to an event, decided from what is known of it; the loop carries it out.
//
//     id given?   Redis says        Kafka says            the producer is told        the id's mark
//     no          –                 acknowledged          202                         –
//     yes         new               acknowledged          202                         done, for the window
//     yes         new               not taken, certainly  503                         removed: it may come again at once
//     yes         new               nothing, in time      503                         stays pending, till it expires (30 s)
//     yes         done              –                     202, duplicate              done
//     yes         pending           –                     503, in a second            pending
//     yes         is away           as without an id      as without an id            –

/// What is known of an id that a producer gave.
enum Sighting: Equatable, CaseIterable {
    /// Never seen: it is marked as pending now.
    case new
    /// Its event was accepted.
    case accepted
    /// Another request with it is under way, or ended without an answer less than half a minute ago.
    case pending
    /// Redis is away or slow: nothing is known, and nothing will be remembered.
    case unknown
}

/// How a request ends.
enum Ending: Equatable, CaseIterable {
    /// Kafka has the event.
    case accepted
    /// Kafka has had it since an earlier request.
    case duplicate
    /// An earlier request with the same id is still under way.
    case pending
    /// No broker answers, or none has taken the event: Kafka does not have it.
    case kafkaAway
    /// More waits for Kafka than can be held.
    case queueFull
    /// Larger than the topic takes.
    case tooLarge
    /// Kafka may have it or not.
    case unacknowledged

    /// How another event with the same id ends, of the same batch and behind it.
    var ofRepetition: Ending { self == .accepted ? .duplicate : self }
}

/// What becomes of the mark that an id got.
enum MarkChange: Equatable {
    case keep
    /// The id is a duplicate from now on, for as long as the window is.
    case remember
    /// The id may come again at once.
    case forget
}

/// What follows a look at an id.
enum NextStep: Equatable {
    /// - Parameter marked: whether the id bears this request's mark.
    case produce(marked: Bool)
    case end(Ending)

    init(after sighting: Sighting) {
        switch sighting {
        case .new: self = .produce(marked: true)
        case .unknown: self = .produce(marked: false)
        case .accepted: self = .end(.duplicate)
        case .pending: self = .end(.pending)
        }
    }
}

/// An end and what it means for the id's mark.
struct Verdict: Equatable {
    let ending: Ending
    let mark: MarkChange

    private init(_ ending: Ending, _ mark: MarkChange) {
        self.ending = ending
        self.mark = mark
    }

    /// nil: the record is on its way, a report will tell.
    init?(_ result: ProduceResult) {
        switch result {
        case .queued: return nil
        case .queueFull: self.init(.queueFull, .forget)
        case .tooLarge: self.init(.tooLarge, .forget)
        case .failed: self.init(.kafkaAway, .forget)
        }
    }

    init(_ report: DeliveryReport) {
        switch report {
        case .acknowledged: self.init(.accepted, .remember)
        case .failed(_, possiblyPersisted: true): self.init(.unacknowledged, .keep)
        case .failed(let error, _): self.init(error.code == .messageTooLarge ? .tooLarge : .kafkaAway, .forget)
        }
    }
}
