import Testing

@testable import HTTPSending

@Suite struct AddressPolicyTests {
    /// Each denied range by its first and last address, and the neighbours that are public.
    static let denied = [
        "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.0",
        "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255", "172.16.0.0",
        "172.31.255.255", "192.0.0.0", "192.0.0.255", "192.0.2.0", "192.0.2.255", "192.88.99.0", "192.88.99.255",
        "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.0", "198.51.100.255",
        "203.0.113.0", "203.0.113.255", "224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255",
        "168.63.129.16",
        "::", "::1", "fe80::1", "fc00::1", "fdff::1", "ff02::1", "64:ff9b::808:808", "100::1", "1fff:ffff::1",
        "4000::1", "2001::1", "2001:1ff:ffff::1", "2001:db8::1", "2001:db8:ffff::1", "2002::1", "2002:ffff::1",
        "3fff::1", "3fff:fff:ffff::1",
        "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:192.168.1.1", "::ffff:168.63.129.16",
        "::127.0.0.1", "::8.8.8.8",
    ]
    static let allowed = [
        "1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255",
        "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
        "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
        "168.63.129.15", "168.63.129.17",
        "2000::1", "2001:200::1", "2001:db7::1", "2001:db9::1", "2003::1", "2606:4700::1111", "3ffe::1", "3fff:1000::1",
        "::ffff:8.8.8.8",
    ]

    @Test(arguments: denied) func isDenied(text: String) throws {
        let address = try #require(NetworkAddress(text))
        #expect(!AddressPolicy.publicOnly.allows(address, port: 443))
    }

    @Test(arguments: allowed) func isAllowed(text: String) throws {
        let address = try #require(NetworkAddress(text))
        #expect(AddressPolicy.publicOnly.allows(address, port: 443))
        #expect(AddressPolicy.publicOnly.allows(address, port: 80))
        #expect(!AddressPolicy.publicOnly.allows(address, port: 22))
        #expect(AddressPolicy(allowedPorts: [8443]).allows(address, port: 8443))
        #expect(!AddressPolicy(allowsLoopback: true).allows(address, port: 8443))
    }

    @Test func loopbackIsOpenedForDevelopmentAlone() throws {
        let policy = AddressPolicy(allowsLoopback: true)
        for text in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            #expect(policy.allows(try #require(NetworkAddress(text)), port: 39_999))
        }
        for text in Self.denied where !(NetworkAddress(text)?.isLoopback ?? false) {
            #expect(!policy.allows(try #require(NetworkAddress(text)), port: 443))
        }
    }

    @Test func everythingMeansEverything() throws {
        #expect(AddressPolicy.unrestricted.allows(try #require(NetworkAddress("10.0.0.1")), port: 1))
    }

    @Test(arguments: ["", "127.1", "0x7f000001", "0177.0.0.1", "2130706433", "localhost", "1.2.3.4.5", "::g"])
    func onlyCanonicalTextIsAnAddress(text: String) {
        #expect(NetworkAddress(text) == nil)
    }
}
