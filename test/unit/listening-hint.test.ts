import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Listening, listeningInside, parseSockets } from '../../src/engine/docker/listening.js'
import { isOnlyInside, listeningHint } from '../../src/engine/steps/listening-hint.js'

const on = (host: string, port: number): Listening => ({
  ...{ host, port },
  isLoopback: host.startsWith('127.') || host === '::1',
})

/** An app whose port is 8000, and what it listens on when it does not answer. */
const STATES: readonly (readonly [state: string, listening: Listening[] | null, hint: RegExp])[] = [
  ['nobody can tell', null, /^; does it listen on 0\.0\.0\.0:8000\? Otherwise set the app's port/],
  ['nothing yet', [], /^; it listens on no port yet: does it wait for something, such as a database\?/],
  ['the port', [on('0.0.0.0', 8000)], /^$/],
  ['the port, IPv6 and IPv4', [on('::', 8000)], /^$/],
  ['the port, on one address', [on('172.18.0.5', 8000)], /^$/],
  [
    'the port, inside alone',
    [on('127.0.0.1', 8000)],
    /^; it listens on 127\.0\.0\.1:8000, must be 0\.0\.0\.0:8000: .*HOST=0/,
  ],
  [
    'the port, inside alone, IPv6',
    [on('::1', 8000)],
    /^; it listens on \[::1\]:8000, must be 0\.0\.0\.0:8000/,
  ],
  [
    'the port inside, another outside',
    [on('127.0.0.1', 8000), on('::', 9000)],
    /listens on 127\.0\.0\.1:8000, must be/,
  ],
  ['the port twice', [on('127.0.0.1', 8000), on('0.0.0.0', 8000)], /^$/],
  ['another port', [on('0.0.0.0', 5000)], /^; it listens on 0\.0\.0\.0:5000: set the app's port/],
  ['another port, IPv6', [on('::', 5000)], /^; it listens on \[::\]:5000: set the app's port/],
  [
    'several others',
    [on('::', 5000), on('0.0.0.0', 5001)],
    /^; it listens on \[::\]:5000, 0\.0\.0\.0:5001: set/,
  ],
  [
    'another port, inside alone',
    [on('127.0.0.1', 5000)],
    /^; it listens on 127\.0\.0\.1:5000, which only its own container reaches/,
  ],
  [
    'one inside, one outside',
    [on('127.0.0.1', 9229), on('0.0.0.0', 5000)],
    /^; it listens on 0\.0\.0\.0:5000: set/,
  ],
]

describe('what an app that does not answer on port 8000 is told when it listens on', () => {
  for (const [state, listening, hint] of STATES) {
    test(state, () => assert.match(listeningHint(listening, 8000), hint))
  }

  test('the port inside alone, which is known to stay so', () => {
    assert.ok(isOnlyInside([on('127.0.0.1', 8000)], 8000))
    assert.ok(!isOnlyInside([on('127.0.0.1', 8000), on('::', 8000)], 8000))
    assert.ok(!isOnlyInside([on('127.0.0.1', 5000)], 8000))
    assert.ok(!isOnlyInside([], 8000))
  })
})

describe('what a container listens on, as a program of its own reads it', () => {
  const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000
   2: 00000000:1F91 0100007F:0050 01 00000000:00000000`

  test('is taken from the first program that the image has', async () => {
    const asked: string[] = []
    const found = await listeningInside(({ command }) => {
      asked.push(command.slice(0, -2).join(' '))
      // Without IPv6 the second table is missing.
      const isThere = command[0] === 'busybox'
      return Promise.resolve({ exitCode: isThere ? 1 : 127, output: isThere ? TABLE : 'not found' })
    })
    assert.deepEqual(asked, ['cat', 'busybox cat'])
    assert.deepEqual(found, parseSockets(TABLE))
    assert.deepEqual(found, [on('127.0.0.1', 8000), on('0.0.0.0', 8080)])
  })

  test('is unknown where there is none, or no container', async () => {
    assert.equal(await listeningInside(() => Promise.resolve({ exitCode: 127, output: '' })), null)
    assert.equal(await listeningInside(() => Promise.resolve(null)), null)
  })
})
