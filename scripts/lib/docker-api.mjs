import { request } from 'node:http'

/** Where the engine listens, as options for node:http. */
function engineAddress() {
  const host = process.env.DOCKER_HOST || 'unix:///var/run/docker.sock'
  if (host.startsWith('unix://')) return { socketPath: host.slice('unix://'.length) }
  const url = new URL(host.replace(/^tcp:/, 'http:'))
  return { host: url.hostname, port: Number(url.port) || 2375 }
}

/** One call of the Docker engine's HTTP API. Gives status and body as text. Bound: 5 minutes, pings 3 s. */
export function dockerApi(method, path, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const timeout = path === '/_ping' ? 3_000 : 300_000
    const call = request({ ...engineAddress(), method, path, headers, timeout }, (answer) => {
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

/** The engine's version, or null where none answers. */
export async function dockerVersion() {
  try {
    await dockerApi('GET', '/_ping')
    return JSON.parse((await dockerApi('GET', '/version')).text).Version ?? null
  } catch {
    return null
  }
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
  const context = tarOf({ Dockerfile: dockerfile, ...files() })
  const path = `/build?t=${encodeURIComponent(tag)}&labels=${labels}`
  const answer = await dockerApi('POST', path, context, { 'content-type': 'application/x-tar' })
  const messages = answer.text.split('\n').filter((line) => line.trim() !== '')
  const failure = messages.map((line) => JSON.parse(line)).find((message) => message.error ?? message.message)
  if (failure) throw new Error(`${tag} could not be built: ${failure.error ?? failure.message}`)
}
