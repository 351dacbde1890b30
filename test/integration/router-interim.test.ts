import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { openRawShop, RawClient, type RawShop } from '../support/raw.js'
import { until } from '../support/server.js'

describe('interim answers of an app', () => {
  let opened: RawShop
  const clients: RawClient[] = []

  before(async () => {
    opened = await openRawShop()
  })
  afterEach(() => {
    for (const client of clients.splice(0)) client[Symbol.dispose]()
  })
  after(() => opened[Symbol.asyncDispose]())

  function raw(): RawClient {
    const made = new RawClient(opened.router.port())
    clients.push(made)
    return made
  }

  const INTERIM =
    'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-A: 1\r\nContent-Length: 9\r\nKeep-Alive: x\r\n\r\n'
  const FINAL = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

  test('are all passed on, in their order and before the app has finished', async () => {
    let finish = () => {}
    const upstream = await opened.listen((socket) => {
      socket.write(`HTTP/1.1 102 Processing\r\n\r\n${INTERIM}HTTP/1.1 199 Own Words\r\n\r\n`)
      finish = () => socket.write(FINAL)
    })
    await opened.serve(upstream.port)
    const asked = raw()
    asked.send(['GET / HTTP/1.1'])
    const answers = await asked.gets(/199 Own Words\r\n\r\n/)
    const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-A: 1\r\n\r\n'
    assert.equal(answers, `HTTP/1.1 102 Processing\r\n\r\n${hints}HTTP/1.1 199 Own Words\r\n\r\n`)
    finish()
    await asked.gets(/\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*ok$/)
  })

  test('are none for HTTP/1.0', async () => {
    const upstream = await opened.listen((socket) => socket.write(`${INTERIM}${FINAL}`))
    await opened.serve(upstream.port)
    const asked = raw()
    asked.send(['GET / HTTP/1.0'])
    assert.match(await asked.gets(/ok$/), /^HTTP\/1\.1 200 /)
  })

  test('wait for the answers before theirs on the same connection', async () => {
    let finish = () => {}
    const upstream = await opened.listen((socket, piece) => {
      if (piece.includes('GET /first')) finish = () => socket.write(FINAL)
      else socket.write(`${INTERIM}${FINAL}`)
    })
    await opened.serve(upstream.port)
    const asked = raw()
    asked.send(['GET /first HTTP/1.1'])
    asked.send(['GET /second HTTP/1.1'])
    await until(() => /first[^]*second|second[^]*first/.test(upstream.received()))
    finish()
    await asked.gets(/^HTTP\/1\.1 200 [^]*okHTTP\/1\.1 103 [^]*HTTP\/1\.1 200 [^]*ok$/)
  })
})
