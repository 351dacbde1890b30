import { Agent, type IncomingMessage, request } from 'node:http'
import type { Readable } from 'node:stream'
import { engineAddress } from '../src/engine/docker/engine-address.js'

// The leanest client there is, so that a baseline made with it is not slowed down by a library.
const agent = new Agent({ keepAlive: true })
// scripts/bench.mjs has found it.
const { protocol: _plain, ...address } = { protocol: null, ...engineAddress(process.env.DOCKER_HOST ?? '') }

/** Builds a tar by BuildKit, through the HTTP API and without a session. */
export async function buildImage(context: Readable, tag: string): Promise<void> {
  const path = `/build?version=2&t=${encodeURIComponent(tag)}`
  const text = await call('POST', path, context, 'application/x-tar')
  const failure = text.split('\n').find((line) => line.includes('"errorDetail"'))
  if (failure) throw new Error(`baseline build failed: ${failure}`)
}

/** Creates a container and starts it; gives its id. */
export async function startContainer(
  image: string,
  labels: Readonly<Record<string, string>>,
): Promise<string> {
  const body = JSON.stringify({ Image: image, Labels: labels })
  const { Id } = JSON.parse(await call('POST', '/containers/create', body)) as { Id: string }
  await call('POST', `/containers/${Id}/start`)
  return Id
}

export async function addressOf(container: string): Promise<string> {
  const found = JSON.parse(await call('GET', `/containers/${container}/json`)) as {
    NetworkSettings: { IPAddress: string }
  }
  return found.NetworkSettings.IPAddress
}

export async function containerExists(name: string): Promise<boolean> {
  const filters = encodeURIComponent(JSON.stringify({ name: [name] }))
  return (JSON.parse(await call('GET', `/containers/json?all=1&filters=${filters}`)) as unknown[]).length > 0
}

function call(
  method: string,
  path: string,
  body?: string | Readable,
  contentType = 'application/json',
): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': contentType }
    const asked = request({ ...address, agent, method, path, headers }, (answer: IncomingMessage) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (piece: string) => (text += piece))
      answer.on('error', reject)
      answer.on('end', () =>
        (answer.statusCode ?? 500) < 400 ? resolve(text) : reject(new Error(`${method} ${path}: ${text}`)),
      )
    })
    asked.on('error', reject)
    if (typeof body === 'object') {
      body.on('error', (error) => asked.destroy(error))
      body.pipe(asked)
    } else asked.end(body)
  })
}
