import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { tokensOf } from '../../src/engine/http1/request-heads.js'
import { answerHeaders } from '../../src/engine/routing/headers.js'
import { headWithoutOffer } from '../../src/engine/http1/upgrade-offers.js'

/** As long as the heads of requests and answers may be. */
const BLANKS = ' '.repeat(32 * 1024)

test('a list of a header is split, whatever white space it has', () => {
  assert.deepEqual(tokensOf('a'), ['a'])
  assert.deepEqual(tokensOf('keep-alive,\t X-One ,x-two'), ['keep-alive', 'X-One', 'x-two'])
  assert.deepEqual(tokensOf(`${BLANKS}a${BLANKS}b${BLANKS},${BLANKS}c`), [`a${BLANKS}b`, 'c'])
})

test('what an app declares to be of this hop, behind whatever white space, is not handed on', () => {
  const rawHeaders = ['Connection', `close${BLANKS},${BLANKS}X-Hop`, 'X-Hop', '1', 'X-Other', '2']
  assert.deepEqual(answerHeaders(rawHeaders), ['X-Other', '2'])
})

test('an offer is taken out of the list that it stands in', () => {
  const connection = `Upgrade${BLANKS}, keep-alive`
  const rawHeaders = ['Host', 'a', 'Upgrade', 'h2c', 'Connection', connection]
  const request = { method: 'GET', url: '/', httpVersion: '1.1', rawHeaders, headers: { connection } }
  const head = headWithoutOffer(request as unknown as IncomingMessage)
  assert.equal(head.toString(), 'GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n')
})
