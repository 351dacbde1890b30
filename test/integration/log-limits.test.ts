import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { LogStream } from '../../src/entities/deployment-status.js'
import { HEAD_BYTES, TAIL_BYTES } from '../../src/engine/logs/log-cap.js'
import { openProcesses, type TestProcess } from '../support/engine.js'
import { endLog, openLog, readLog, storedLog, textOf } from '../support/logs.js'

describe('a log that is long', () => {
  let opened: Awaited<ReturnType<typeof openProcesses>>
  let worker: TestProcess
  let api: TestProcess

  before(async () => {
    opened = await openProcesses(2)
    ;[worker, api] = opened.processes as [TestProcess, TestProcess]
  })
  after(() => opened[Symbol.asyncDispose]())

  test('keeps its first 8 and its last 2 MiB, and counts exactly what is left out', async () => {
    const { deployment, writer } = await openLog(worker)
    const output = writer.output(LogStream.STDOUT)
    const lines = 14 * 1024
    for (let line = 0; line < lines; line++) {
      await output.write(Buffer.from(`${String(line).padStart(1023, '.')}\n`))
    }
    output.end()
    await endLog(worker, deployment, writer)
    const text = await storedLog(worker, deployment.id)
    const [, omitted, omittedLines] = /--- (\d+) bytes \/ (\d+) lines omitted ---/.exec(text) ?? []
    const kept = text.split('\n').filter((line) => line.length === 1023).length
    assert.equal(kept + Number(omittedLines), lines)
    assert.equal(Number(omitted), Number(omittedLines) * 1024)
    assert.equal(kept, (HEAD_BYTES + TAIL_BYTES) / 1024)
    assert.match(text, new RegExp(`\\.${lines - 1}\nFailed\\.\n$`))
    const entries = await readLog(api, deployment.id)
    assert.equal(textOf(entries), text)
    assert.equal(entries.at(-1)?.end?.omittedBytes, Number(omitted))
    assert.equal(entries.at(-1)?.end?.clipped, false)
    assert.ok(entries.every((entry) => Buffer.byteLength(entry.text) <= 32 * 1024))
  })

  const CLIPPED: [where: string, bytesBefore: number, bytesAfter: number][] = [
    ['what is stored as it comes', 0, 1024],
    ['the end that is kept', HEAD_BYTES, 1024],
    ['what is left out', HEAD_BYTES, TAIL_BYTES + 1024],
  ]
  for (const [where, bytesBefore, bytesAfter] of CLIPPED) {
    test(`says at its end that the engine has clipped it, in ${where}`, async () => {
      const { deployment, writer } = await openLog(worker)
      const output = writer.output(LogStream.STDOUT)
      const write = async (bytes: number) => {
        for (let left = bytes; left > 0; left -= 1024)
          await output.write(Buffer.from(`${'x'.repeat(1023)}\n`))
      }
      await write(bytesBefore)
      writer.clipped('clipped')
      await write(bytesAfter)
      output.end()
      await endLog(worker, deployment, writer)
      assert.equal((await readLog(api, deployment.id)).at(-1)?.end?.clipped, true)
    })
  }

  test('comes in chunks of at most 32 KiB, whatever script it is written in', async () => {
    const { deployment, writer } = await openLog(worker)
    const output = writer.output(LogStream.STDOUT)
    const lines = Array.from({ length: 40 }, (_, index) => `${'你'.repeat(100 * index)}\n`)
    await output.write(Buffer.from(`${lines.join('')}${'你'.repeat(20_000)}\n`))
    output.end()
    await endLog(worker, deployment, writer)
    const entries = await readLog(api, deployment.id)
    assert.ok(textOf(entries).startsWith(lines.join('')))
    assert.ok(entries.every((entry) => Buffer.byteLength(entry.text) <= 32 * 1024))
  })
})
