import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, test } from 'node:test'
import { readConfig } from '../../src/config.js'
import { TrustedProxies } from '../../src/engine/http1/trusted-proxies.js'

const PROXIES = new TrustedProxies(['10.0.0.0/8', '192.0.2.7', '2001:db8:1::/48', '::1'])

function asked(remoteAddress: string, chain?: string): IncomingMessage {
  return { socket: { remoteAddress }, headers: { 'x-forwarded-for': chain } } as unknown as IncomingMessage
}

describe('trusted proxies', () => {
  for (const [what, peer, chain, client] of [
    ['somebody else claims anything', '198.51.100.1', '6.6.6.6', '198.51.100.1'],
    ['one says who asked', '192.0.2.7', '198.51.100.1', '198.51.100.1'],
    ['one says nothing', '192.0.2.7', undefined, '192.0.2.7'],
    ['two, one after the other', '10.0.0.1', '198.51.100.1, 192.0.2.7', '198.51.100.1'],
    ['the client claims more', '10.0.0.1', '6.6.6.6, 198.51.100.1,10.9.9.9', '198.51.100.1'],
    ['the client claims to be a proxy', '10.0.0.1', '10.6.6.6, 198.51.100.1', '198.51.100.1'],
    ['all are proxies', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['what is said is no address', '10.0.0.1', '198.51.100.1, unknown, 10.0.0.2', '10.0.0.2'],
    ['IPv4 inside of IPv6', '::ffff:10.0.0.1', '::ffff:198.51.100.1', '198.51.100.1'],
    ['IPv6', '2001:db8:1:2::3', '2001:db8:2::1, 2001:db8:1::9', '2001:db8:2::1'],
    ['addresses with ports', '::1', '198.51.100.1:4711, [2001:db8:1::9]:80', '198.51.100.1'],
  ] as const) {
    test(`say who asked: ${what}`, () => assert.equal(PROXIES.clientOf(asked(peer, chain)), client))
  }

  test('are none unless they are set', () => {
    assert.equal(new TrustedProxies([]).clientOf(asked('10.0.0.1', '6.6.6.6')), '10.0.0.1')
    assert.deepEqual(readConfig({}).trustedProxies, [])
  })

  test('are set as addresses and networks; each other text is named', () => {
    const TRUSTED_PROXIES = ' 10.0.0.0/8, 2001:db8::/32,192.0.2.7,'
    assert.deepEqual(readConfig({ TRUSTED_PROXIES }).trustedProxies, [
      '10.0.0.0/8',
      '2001:db8::/32',
      '192.0.2.7',
    ])
    for (const bad of [
      'proxy.example',
      '10.0.0.0/33',
      '::/129',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      'fe80::1%lo',
      '*',
    ])
      assert.throws(
        () => readConfig({ TRUSTED_PROXIES: bad }),
        /TRUSTED_PROXIES: ".*" is not an address or/,
        bad,
      )
  })
})
