import type { LookupAddress } from 'node:dns'
import fc from 'fast-check'
import { test } from 'tap'
import { createAddressGuard, type AddressGuard } from '../../src/callbacks/address-guard.ts'
import { fakeNameServer } from '../helpers/name-server.ts'
import { check } from '../helpers/property.ts'

const refused: Record<string, string[]> = {
  loopback: ['127.0.0.1', '127.0.0.0', '127.1.2.3', '127.255.255.255', '::1'],
  'this host': ['0.0.0.0', '0.1.2.3', '0.255.255.255', '::'],
  private: ['10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0', '192.168.255.255', 'fc00::1', 'fdff:ffff::1', 'fec0::1'],
  'link-local': ['169.254.0.0', '169.254.169.254', '169.254.255.255', 'fe80::1', 'fe80::1%eth0', 'febf::1', 'fe80::5efe:808:808'],
  'carrier-grade NAT': ['100.64.0.0', '100.127.255.255'],
  'metadata of clouds': ['168.63.129.16', '169.254.169.254', '100.100.100.200', '192.0.0.192', 'fd00:ec2::254', 'fd20:ce::254'],
  multicast: ['224.0.0.1', '239.255.255.255', 'ff02::1', 'ff0e::1'],
  broadcast: ['255.255.255.255'],
  'reserved and for documents': ['192.0.0.1', '192.0.2.1', '198.51.100.1', '203.0.113.1', '198.18.0.1', '198.19.255.255', '240.0.0.1', '192.88.99.1', '2001:db8::1', '3fff::1', '100::1', '2001:2::1', '2001:10::1', '2001:20::1', '5f00::1'],
  'mapped and translated': [
    '::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:169.254.169.254', '::ffff:7f00:1', '::127.0.0.1', '::10.0.0.1', '::a9fe:a9fe', '::2', '::ffff:0:127.0.0.1', '::ffff:0:10.0.0.1',
    '64:ff9b::127.0.0.1', '64:ff9b::10.0.0.1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::127.0.0.1', '64:ff9b:1:7f00:0:100::', '64:ff9b:1::8.8.8.8', '64:ff9b:1:a9fe:a9:fe00:808:808',
    '2002:7f00:1::', '2002:a00:1::1', '2002:a9fe:a9fe::8.8.8.8', '2001:0:808:808::', '2001::f5ff:fffe'
  ],
  'not given out': ['1::1', '4000::1', '8000::1', 'a000::1', 'f000::1', 'fe00::1', '::fffe:a00:1', '::1:0:0:1', '200::1'],
  'no address': ['', 'localhost', '127.1', '0177.0.0.1', '0x7f.1', '2130706433', '8.8.8', '8.8.8.8.', ' 8.8.8.8', '8.8.8.8/32', '[::1]', '[2606:4700::1111]', '8.8.8.8:443', '1.1.1.256', '08.8.8.8']
}
const publicAddresses = [
  '1.1.1.1', '8.8.8.8', '9.255.255.255', '11.0.0.0', '20.50.60.70', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0', '168.63.129.15', '169.253.255.255', '172.15.255.255', '172.32.0.0',
  '192.167.255.255', '192.169.0.0', '223.255.255.255', '2606:4700:4700::1111', '2a00:1450::1', '2603:1020::1', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '2002:808:808::1', '::8.8.8.8'
]

test('only public unicast addresses are allowed, by themselves', async (t) => {
  const { isAllowed } = createAddressGuard([])
  for (const [kind, addresses] of Object.entries(refused)) for (const address of addresses) t.notOk(isAllowed(address), `${kind}: ${address}`)
  for (const address of publicAddresses) t.ok(isAllowed(address), address)
})

test('a private range that is named is allowed, and nothing beside it', async (t) => {
  const { isAllowed } = createAddressGuard(['10.20.0.0/16', 'fd12:3456::/32'])
  for (const address of ['10.20.0.0', '10.20.255.255', 'fd12:3456::1', '::ffff:10.20.1.1', '64:ff9b::10.20.1.1', '2002:a14:1::']) t.ok(isAllowed(address), address)
  for (const address of ['10.19.255.255', '10.21.0.0', '10.0.0.1', '192.168.0.1', 'fd12:3457::1', '::ffff:10.21.0.1']) t.notOk(isAllowed(address), address)
  t.ok(isAllowed('8.8.8.8'), 'public ones still are')
})

test('one address is a range of its own', async (t) => {
  const { isAllowed } = createAddressGuard(['192.168.7.7/32'])
  t.ok(isAllowed('192.168.7.7'))
  t.notOk(isAllowed('192.168.7.8'))
})

test('loopback, link-local, multicast, broadcast and metadata need an entry of their own: a broad one does not open them', async (t) => {
  const delicate = ['127.0.0.1', '0.0.0.0', '169.254.169.254', '168.63.129.16', '100.100.100.200', '192.0.0.192', '224.0.0.1', '239.255.255.250', '255.255.255.255', '::1', '::', 'fe80::1', 'ff02::1', 'fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254', 'fd00:42::42', '::ffff:127.0.0.1', '64:ff9b::a9fe:a9fe', '2002:7f00:1::']
  const broad = createAddressGuard(['0.0.0.0/0', '::/0', '100.64.0.0/10', '168.0.0.0/6', '126.0.0.0/7', '169.0.0.0/8', '192.0.0.0/24', '255.0.0.0/8', 'fc00::/7', 'fe00::/7', '::/96'])
  for (const address of delicate) t.notOk(broad.isAllowed(address), address)
  for (const address of ['10.0.0.1', '100.64.0.1', 'fd00:ec2::253', '192.0.0.191', '255.255.255.254', '4000::1']) t.ok(broad.isAllowed(address), `${address}, which the broad ones do open`)
  for (const [range, address] of Object.entries({
    '127.0.0.0/8': '127.0.0.1',
    '127.0.0.1/32': '127.0.0.1',
    '169.254.0.0/16': '169.254.169.254',
    '169.254.169.254/32': '169.254.169.254',
    '168.63.129.16/32': '168.63.129.16',
    '100.100.100.200/32': '100.100.100.200',
    '::1/128': '::1',
    'fe80::/10': 'fe80::1',
    '192.0.0.192/32': '192.0.0.192',
    '224.0.0.0/4': '239.255.255.250',
    '255.255.255.255/32': '255.255.255.255',
    'ff02::/16': 'ff02::1',
    'fd00:ec2::254/128': 'fd00:ec2::254'
  })) t.ok(createAddressGuard([range]).isAllowed(address), range)
  t.ok(createAddressGuard(['127.0.0.0/8']).isAllowed('::ffff:127.0.0.1'), 'by whatever way')
  t.notOk(createAddressGuard(['127.0.0.0/8']).isAllowed('::1'))
  t.notOk(createAddressGuard(['127.0.0.2/32']).isAllowed('127.0.0.1'))
})

test('an address that leads to more than one place is never allowed, not by name either', async (t) => {
  const { isAllowed } = createAddressGuard(['2001::/32', '64:ff9b:1::/48'])
  for (const address of ['2001:0:808:808::', '64:ff9b:1::8.8.8.8']) t.notOk(isAllowed(address), address)
})

test('what is no range is told when the guard is made', async (t) => {
  for (const range of ['10.0.0.1', '10.0.0.0/33', '10.0.0.0/-1', 'localhost/8', '', '/', 'fd00::/129', '10.0.0.0/x']) t.throws(() => createAddressGuard([range]), range)
})

test('whatever stands in an IPv6 address, no way leads to a private IPv4 one', async (t) => {
  const { isAllowed } = createAddressGuard([])
  const privateBytes = fc.oneof(fc.tuple(fc.constant(127), fc.nat(255), fc.nat(255), fc.nat(255)), fc.tuple(fc.constant(10), fc.nat(255), fc.nat(255), fc.nat(255)), fc.tuple(fc.constant(169), fc.constant(254), fc.nat(255), fc.nat(255)))
  await check(t, fc.property(privateBytes, fc.constantFrom('::ffff:', '::', '64:ff9b::', '::ffff:0:', '64:ff9b:1::'), ([a, b, c, d], prefix) => !isAllowed(`${prefix}${a}.${b}.${c}.${d}`)), { numRuns: 500 })
})

const lookUp = (guard: AddressGuard, hostname: string, all: boolean): Promise<{ error: Error | null, found: string | LookupAddress[] }> =>
  new Promise((resolve) => { guard.lookup(hostname, { all }, (error, found) => { resolve({ error, found }) }) })

test('a name that leads to private addresses is refused when the socket connects', async (t) => {
  fakeNameServer(t, { 'a.example': [['127.0.0.1']], 'b.example': [['10.0.0.1', '169.254.169.254', 'fe80::1', '::ffff:127.0.0.1']], 'none.example': [[]] })
  const guard = createAddressGuard([])
  for (const name of ['a.example', 'b.example', 'none.example']) {
    for (const all of [true, false]) t.match((await lookUp(guard, name, all)).error, { name: 'ForbiddenAddressError', message: `${name} leads to an address that callbacks may not go to` })
  }
})

test('of mixed answers only the allowed ones are used', async (t) => {
  fakeNameServer(t, { 'a.example': [['127.0.0.1', '8.8.8.8', '10.0.0.1', '2606:4700::1', '::1']] })
  const guard = createAddressGuard([])
  t.same(await lookUp(guard, 'a.example', true), { error: null, found: [{ address: '8.8.8.8', family: 4 }, { address: '2606:4700::1', family: 6 }] })
  t.same(await lookUp(guard, 'a.example', false), { error: null, found: '8.8.8.8' })
})

test('the name server is asked for all addresses, and its errors are passed on', async (t) => {
  fakeNameServer(t, { 'a.example': [Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' })] })
  t.match((await lookUp(createAddressGuard([]), 'a.example', true)).error, { code: 'EAI_AGAIN' })
})

test('localhost, as this machine resolves it, is refused, and allowed where it is named', async (t) => {
  t.match((await lookUp(createAddressGuard([]), 'localhost', true)).error, { name: 'ForbiddenAddressError' })
  t.equal((await lookUp(createAddressGuard(['127.0.0.0/8', '::1/128']), 'localhost', true)).error, null)
})
