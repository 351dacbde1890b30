import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { decodeTrace } from '../../src/engine/docker/buildkit-trace.js'

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128)
  return Buffer.from([...bytes, value])
}

/** Protobuf: numbers as varints, the rest length-delimited. */
function encode(...fields: readonly (readonly [field: number, value: number | string | Buffer])[]): Buffer {
  const parts = fields.map(([field, value]) => {
    if (typeof value === 'number') return Buffer.concat([varint(field * 8), varint(value)])
    const bytes = Buffer.from(value)
    return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes])
  })
  return Buffer.concat(parts)
}

const TIME = encode([1, 1_790_000_000], [2, 999_999_999])

describe('a BuildKit trace', () => {
  test('gives the steps with their names, times and errors', () => {
    const vertex = encode(
      [1, 'sha256:aa'],
      [2, 'sha256:in'],
      [3, 'RUN é'],
      [5, TIME],
      [6, TIME],
      [7, 'exit code: 3'],
    )
    assert.deepEqual(decodeTrace(encode([1, vertex])), {
      vertexes: [
        {
          digest: 'sha256:aa',
          name: 'RUN é',
          cached: false,
          startedMs: 1_790_000_000_999.999_999,
          completedMs: 1_790_000_000_999.999_999,
          error: 'exit code: 3',
        },
      ],
      logs: [],
    })
  })

  test('gives a step that has not begun and one from the cache', () => {
    const waiting = encode([1, 'a'], [3, 'FROM x'])
    const cached = encode([1, 'b'], [3, 'COPY . .'], [4, 1], [5, TIME], [6, TIME])
    const { vertexes } = decodeTrace(encode([1, waiting], [1, cached]))
    assert.deepEqual(vertexes[0], {
      digest: 'a',
      name: 'FROM x',
      cached: false,
      startedMs: null,
      completedMs: null,
      error: '',
    })
    assert.equal(vertexes[1]?.cached, true)
  })

  test('gives the bytes of the output as they are, with their stream', () => {
    const half = Buffer.from([0xe2, 0x82, 0x00, 0xff])
    const trace = encode(
      [3, encode([1, 'a'], [2, TIME], [3, 2], [4, half])],
      [3, encode([1, 'b'], [3, 1], [4, 'x'])],
    )
    assert.deepEqual(decodeTrace(trace).logs, [
      { vertex: 'a', stream: 2, bytes: half },
      { vertex: 'b', stream: 1, bytes: Buffer.from('x') },
    ])
  })

  test('skips fields that it does not know, of every type', () => {
    const fixed64 = Buffer.concat([varint(9 * 8 + 1), Buffer.alloc(8, 0xff)])
    const fixed32 = Buffer.concat([varint(10 * 8 + 5), Buffer.alloc(4, 0xff)])
    const known = encode([1, encode([1, 'a'], [3, 'RUN x'], [300, 'new'], [12, 1_000_000_000_000])])
    const statuses = encode([2, encode([1, 'id'])], [4, 'a warning'], [99, 7])
    const { vertexes, logs } = decodeTrace(Buffer.concat([fixed64, statuses, fixed32, known]))
    assert.deepEqual(
      vertexes.map(({ name }) => name),
      ['RUN x'],
    )
    assert.deepEqual(logs, [])
  })

  test('gives output longer than one length byte can say', () => {
    const long = Buffer.alloc(100_000, 'é')
    assert.deepEqual(decodeTrace(encode([3, encode([4, long])])).logs[0]?.bytes, long)
  })

  test('of no bytes is empty', () => {
    assert.deepEqual(decodeTrace(Buffer.alloc(0)), { vertexes: [], logs: [] })
  })

  test('that is cut short is a RangeError, wherever it is cut inside a field', () => {
    const whole = encode([1, encode([1, 'sha256:aa'], [3, 'RUN x'], [5, TIME])])
    for (let length = 1; length < whole.length; length++) {
      assert.throws(() => decodeTrace(whole.subarray(0, length)), RangeError, `cut at ${length}`)
    }
  })

  test('of any bytes is read or is a RangeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          decodeTrace(Buffer.from(bytes))
        } catch (error) {
          assert.ok(error instanceof RangeError, String(error))
        }
      }),
      { numRuns: 200 },
    )
  })
})
