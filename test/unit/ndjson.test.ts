import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { readNdjson } from '../../src/engine/docker/ndjson.js'

async function* from(pieces: readonly (Buffer | string)[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield await Promise.resolve(Buffer.from(piece))
}

async function read(pieces: readonly (Buffer | string)[]): Promise<unknown[]> {
  const messages: unknown[] = []
  for await (const message of readNdjson(from(pieces))) messages.push(message)
  return messages
}

const MIB = 1024 * 1024

describe('reading newline-delimited JSON', () => {
  test('gives the same messages wherever bytes and characters are cut', async () => {
    const message = fc.string({ unit: 'grapheme', maxLength: 20 }).map((stream) => ({ stream }))
    const messages = fc.array(message, { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(
        messages,
        fc.array(fc.nat()),
        fc.constantFrom('\n', '\r\n'),
        async (all, places, newline) => {
          const bytes = Buffer.from(all.map((one) => JSON.stringify(one) + newline).join(''))
          const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort(
            (a, b) => a - b,
          )
          const pieces = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
          assert.deepEqual(await read(pieces), all)
        },
      ),
      { numRuns: 150 },
    )
  })

  test('reads messages that come in single bytes', async () => {
    const bytes = Buffer.from('{"a":"é€💚"}\n{"b":1}\n')
    assert.deepEqual(await read([...bytes].map((byte) => Buffer.from([byte]))), [{ a: 'é€💚' }, { b: 1 }])
  })

  test('counts a last message without newline', async () => {
    assert.deepEqual(await read(['{"a":1}\n{"b"', ':2}']), [{ a: 1 }, { b: 2 }])
  })

  test('skips empty lines', async () => {
    assert.deepEqual(await read(['\n\r\n{"a":1}\n  \n\n']), [{ a: 1 }])
    assert.deepEqual(await read([]), [])
  })

  test('gives a message before the next one is there', async () => {
    let asked = 0
    async function* source(): AsyncGenerator<Buffer> {
      asked += 1
      yield await Promise.resolve(Buffer.from('{"a":1}\n'))
      asked += 1
      yield Buffer.from('{"b":2}\n')
    }
    const messages = readNdjson(source())
    assert.deepEqual((await messages.next()).value, { a: 1 })
    assert.equal(asked, 1)
    await messages.return(undefined)
  })

  test('rejects on what is no JSON, also at the end of a stream that broke off', async () => {
    await assert.rejects(read(['{"a":1}\nnot json\n']), SyntaxError)
    await assert.rejects(read(['{"a":1}\n{"b":']), SyntaxError)
  })

  test('rejects a message over 4 MiB before it has all of it', async () => {
    let pieces = 0
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) {
        pieces += 1
        yield await Promise.resolve(Buffer.alloc(64 * 1024, 'x'))
      }
    }
    await assert.rejects(readNdjson(endless()).next(), /over 4 MiB/)
    assert.ok(pieces <= (4 * MIB) / (64 * 1024) + 1, `${pieces} pieces were read`)
  })

  test('reads a message of nearly 4 MiB', async () => {
    const long = JSON.stringify({ a: 'x'.repeat(4 * MIB - 100) })
    assert.equal((await read([long, '\n', '{}\n'])).length, 2)
  })

  test('reads many short messages that come in one piece of over 4 MiB', async () => {
    const one = '{"stream":"x"}\n'
    const count = Math.ceil((5 * MIB) / one.length)
    assert.equal((await read([one.repeat(count)])).length, count)
  })
})
