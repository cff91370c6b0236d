import HTTPServing
import Kafka
import Testing

@testable import Ingestion

@Suite struct DecisionTests {
    @Test(arguments: [
        (Sighting.new, NextStep.produce(marked: true)), (.unknown, .produce(marked: false)),
        (.accepted, .end(.duplicate)), (.pending, .end(.pending)),
    ])
    func whatFollowsALookAtAnID(sighting: Sighting, step: NextStep) {
        #expect(NextStep(after: sighting) == step)
    }

    private static let error = KafkaError(.messageTimedOut, "late")

    @Test func whatAProduceCallMeans() {
        #expect(Verdict(ProduceResult.queued) == nil)
        for (result, ending) in [
            (ProduceResult.queueFull, Ending.queueFull), (.tooLarge, .tooLarge), (.failed(Self.error), .kafkaAway),
        ] {
            let verdict = Verdict(result)
            #expect(verdict?.ending == ending)
            // The record is nowhere: its id may come again at once.
            #expect(verdict?.mark == .forget)
        }
    }

    @Test(arguments: [
        (DeliveryReport.acknowledged(partition: 3, offset: 7), Ending.accepted, MarkChange.remember),
        (.acknowledged(partition: 3, offset: nil), .accepted, .remember),
        (.failed(error, possiblyPersisted: true), .unacknowledged, .keep),
        (.failed(error, possiblyPersisted: false), .kafkaAway, .forget),
        (.failed(KafkaError(.messageTooLarge, "large"), possiblyPersisted: false), .tooLarge, .forget),
        (.failed(KafkaError(.messageTooLarge, "large"), possiblyPersisted: true), .unacknowledged, .keep),
    ])
    func whatAReportMeans(report: DeliveryReport, ending: Ending, mark: MarkChange) {
        #expect(Verdict(report).ending == ending)
        #expect(Verdict(report).mark == mark)
    }

    /// A 202 says that Kafka has the event, everything else that the producer has to act; what can be tried again says when.
    @Test func whatAProducerIsTold() {
        for ending in Ending.allCases {
            switch ending {
            case .accepted, .duplicate: #expect(ending.problem == nil)
            case .tooLarge: #expect(ending.problem?.status == 413)
            case .pending, .kafkaAway, .queueFull, .unacknowledged:
                #expect(ending.problem?.status == 503 && ending.problem?.retryAfter != nil)
            }
        }
        for (ending, expected) in [
            (.accepted, #"{"id":"a\"b","status":"accepted","duplicate":false}"#),
            (.duplicate, #"{"id":"a\"b","status":"accepted","duplicate":true}"#),
            (.queueFull, #"{"id":"a\"b","status":"overloaded","duplicate":false}"#),
        ] as [(Ending, String)] {
            var body: [UInt8] = []
            ending.write(id: Array(#""a\"b""#.utf8), to: &body)
            #expect(String(decoding: body, as: UTF8.self) == expected)
        }
        // An event behind another with its id, of one batch.
        #expect(Ending.accepted.ofRepetition == .duplicate)
        for ending in Ending.allCases where ending != .accepted { #expect(ending.ofRepetition == ending) }
    }

    @Test(arguments: [
        ("application/json", true), ("Application/JSON; charset=utf-8", true), ("application/cloudevents+json", true),
        ("application/json ;a=b", true), ("text/json", false), ("application/jsonx", false), ("", false),
        ("application/x-www-form-urlencoded", false), ("multipart/form-data; a=application/json", false),
    ])
    func mediaTypes(text: String, isAccepted: Bool) {
        var text = text
        #expect(text.withUTF8 { isJSON(UnsafeRawBufferPointer($0)) } == isAccepted)
    }

    @Test func slotsAreUsedAgain() {
        var table = SlotTable<String>()
        #expect(table.remove(0) == nil)
        let (a, b) = (table.insert("a"), table.insert("b"))
        #expect(a != b && table.count == 2)
        #expect(table.remove(a) == "a")
        #expect(table.remove(a) == nil)
        #expect(table.insert("c") == a)
        #expect(table.remove(b) == "b" && table.remove(a) == "c" && table.count == 0)
    }
}
