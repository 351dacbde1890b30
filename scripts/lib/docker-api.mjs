import { request } from 'node:http'
import { request as requestTls } from 'node:https'

const TIMEOUT_MS = 300_000

/** One call of the HTTP API of the engine that ensureDockerEngine() has found. Gives status and body as text. */
export async function dockerApi(method, path, body, headers = {}) {
  const { engineAddress } = await import('../../dist/src/engine/docker/engine-address.js')
  const { protocol, ...address } = engineAddress(process.env.DOCKER_HOST)
  const send = protocol === 'https' ? requestTls : request
  return new Promise((resolve, reject) => {
    const call = send({ ...address, method, path, headers, timeout: TIMEOUT_MS }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (piece) => (text += piece))
      answer.on('end', () => resolve({ status: answer.statusCode, text }))
      answer.on('error', reject)
    })
    call.on('timeout', () => call.destroy(new Error('the Docker engine does not answer')))
    call.on('error', reject)
    call.end(body)
  })
}

const BLOCK = 512

/** A tar of a few files, for a build context: name → content (Buffer or string), all executable. */
export function tarOf(files) {
  const blocks = Object.entries(files).flatMap(([name, content]) => {
    const bytes = Buffer.from(content)
    const padding = Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)
    return [tarHeader(name, bytes.length), bytes, padding]
  })
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)])
}

function tarHeader(name, size) {
  const header = Buffer.alloc(BLOCK)
  const octal = (value, length) => value.toString(8).padStart(length - 1, '0')
  header.write(name, 0)
  header.write(octal(0o755, 8), 100)
  header.write(octal(0, 8), 108)
  header.write(octal(0, 8), 116)
  header.write(octal(size, 12), 124)
  header.write(octal(0, 12), 136)
  header.write('        ', 148)
  header.write('0', 156)
  header.write('ustar\u000000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${octal(sum, 7)}\0 `, 148)
  return header
}

/** Builds an image that needs no registry, unless one with this `version` is there already. */
export async function ensureImage(tag, version, dockerfile, files) {
  const known = await dockerApi('GET', `/images/${tag}/json`)
  if (known.status === 200 && JSON.parse(known.text).Config.Labels?.['longshore.version'] === version) return
  const labels = encodeURIComponent(JSON.stringify({ 'longshore.version': version }))
  const context = tarOf({ Dockerfile: dockerfile, ...(await files()) })
  const path = `/build?t=${encodeURIComponent(tag)}&labels=${labels}`
  const answer = await dockerApi('POST', path, context, { 'content-type': 'application/x-tar' })
  const messages = answer.text.split('\n').filter((line) => line.trim() !== '')
  const failure = messages.map((line) => JSON.parse(line)).find((message) => message.error ?? message.message)
  if (failure) throw new Error(`${tag} could not be built: ${failure.error ?? failure.message}`)
}
