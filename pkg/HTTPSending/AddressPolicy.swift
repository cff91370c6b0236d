internal import Glibc

/// Which peers may be talked to. It judges the address that is about to be dialled, after name resolution and for every request:
/// whatever a URL or a name server says, a customer's endpoint cannot lead into the operator's network.
public struct AddressPolicy: Sendable, Equatable {
    /// Ports besides 80 and 443.
    public var allowedPorts: Set<UInt16>
    /// Loopback addresses, at any port: for development.
    public var allowsLoopback: Bool
    /// Everything: for talking to one's own services.
    public var allowsEverything: Bool

    public init(allowedPorts: Set<UInt16> = [], allowsLoopback: Bool = false) {
        self.allowedPorts = allowedPorts
        self.allowsLoopback = allowsLoopback
        allowsEverything = false
    }

    /// Public addresses at ports 80 and 443 only.
    public static let publicOnly = AddressPolicy()

    /// No restriction.
    public static let unrestricted: AddressPolicy = {
        var policy = AddressPolicy()
        policy.allowsEverything = true
        return policy
    }()

    /// Whether `address` may be dialled at `port`.
    public func allows(_ address: NetworkAddress, port: UInt16) -> Bool {
        if allowsEverything { return true }
        if allowsLoopback, address.isLoopback { return true }
        return address.isPublic && (port == 80 || port == 443 || allowedPorts.contains(port))
    }
}

/// An IPv4 or IPv6 address as it is on the wire. IPv4-mapped IPv6 addresses count as the IPv4 address that they are.
public enum NetworkAddress: Sendable, Equatable {
    /// In host byte order: `0x7f000001` is 127.0.0.1.
    case v4(UInt32)
    /// The upper and the lower 64 bits, in host byte order.
    case v6(high: UInt64, low: UInt64)

    /// The address in a socket address; nil for other families than IPv4 and IPv6.
    init?(_ address: UnsafePointer<sockaddr>, length: Int) {
        let raw = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        case AF_INET where length >= MemoryLayout<sockaddr_in>.size:
            self = .v4(UInt32(bigEndian: raw.loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr))
        case AF_INET6 where length >= MemoryLayout<sockaddr_in6>.size:
            let words = raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr
            self = withUnsafeBytes(of: words) { Self.v6(bytes: $0) }
        default:
            return nil
        }
    }

    /// Reads the text form, as `inet_pton` does: no short, octal or hexadecimal IPv4.
    public init?(_ text: UnsafePointer<CChar>) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self = .v4(UInt32(bigEndian: four.s_addr))
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            self = withUnsafeBytes(of: six) { Self.v6(bytes: $0) }
        } else {
            return nil
        }
    }

    private static func v6(bytes: UnsafeRawBufferPointer) -> NetworkAddress {
        let high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
        let low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        if high == 0, low >> 32 == 0xffff { return .v4(UInt32(truncatingIfNeeded: low)) }
        return .v6(high: high, low: low)
    }

    /// 127.0.0.0/8 and ::1.
    public var isLoopback: Bool {
        switch self {
        case .v4(let address): address >> 24 == 127
        case .v6(let high, let low): high == 0 && low == 1
        }
    }

    /// Whether the address belongs to the public internet: neither private, local, reserved, for documentation, multicast nor
    /// a cloud's own (168.63.129.16 is Azure's; the others' metadata services are link-local).
    public var isPublic: Bool {
        switch self {
        case .v4(let address):
            !Self.deniedV4.contains { address >> (32 - $0.bits) == $0.prefix >> (32 - $0.bits) }
        case .v6(let high, _):
            high >> 61 == 0b001 && !Self.deniedV6.contains { high >> (64 - $0.bits) == $0.prefix >> (64 - $0.bits) }
        }
    }

    private static let deniedV4: [(prefix: UInt32, bits: UInt32)] = [
        (0x0000_0000, 8),  // "this" network
        (0x0a00_0000, 8),  // private
        (0x6440_0000, 10),  // carrier-grade NAT
        (0x7f00_0000, 8),  // loopback
        (0xa9fe_0000, 16),  // link-local, cloud metadata
        (0xac10_0000, 12),  // private
        (0xc000_0000, 24),  // protocol assignments
        (0xc000_0200, 24),  // documentation
        (0xc058_6300, 24),  // 6to4 relays
        (0xc0a8_0000, 16),  // private
        (0xc612_0000, 15),  // benchmarks
        (0xc633_6400, 24),  // documentation
        (0xcb00_7100, 24),  // documentation
        (0xe000_0000, 4),  // multicast
        (0xf000_0000, 4),  // reserved, broadcast
        (0xa83f_8110, 32),  // Azure's host
    ]

    /// Within 2000::/3, outside which nothing is public.
    private static let deniedV6: [(prefix: UInt64, bits: UInt64)] = [
        (0x2001_0000_0000_0000, 23),  // protocol assignments, Teredo
        (0x2001_0db8_0000_0000, 32),  // documentation
        (0x2002_0000_0000_0000, 16),  // 6to4
        (0x3fff_0000_0000_0000, 20),  // documentation
    ]
}
