import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../test/support/server.js'

/** An nginx of the benchmark's own: one worker process, no service of the machine. */
export interface Nginx extends AsyncDisposable {
  readonly port: number
}

/** @throws Error when a program is not there, with how to install it */
export function requirePrograms(...names: readonly string[]): void {
  const missing = names.filter((name) => spawnSync('which', [name], { stdio: 'ignore' }).status !== 0)
  if (missing.length === 0) return
  throw new Error(`this benchmark needs ${missing.join(' and ')}: apt-get install nginx-light wrk`)
}

/** Serves the files of `folder`. */
export function startFileServer(folder: string): Promise<Nginx> {
  return start(folder, 'files', (port) => `server { listen 127.0.0.1:${port}; root ${folder}; }`)
}

/** A reverse proxy that keeps connections to its upstream, as the built-in router does. */
export function startProxy(folder: string, upstreamPort: number): Promise<Nginx> {
  return start(
    folder,
    'proxy',
    (port) => `
    upstream app { server 127.0.0.1:${upstreamPort}; keepalive 64; }
    server {
      listen 127.0.0.1:${port};
      location / {
        proxy_pass http://app;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Host $host;
        proxy_set_header X-Forwarded-Proto $scheme;
      }
    }`,
  )
}

async function start(folder: string, name: string, server: (port: number) => string): Promise<Nginx> {
  const port = await freePort()
  const file = join(folder, `${name}.conf`)
  writeFileSync(file, configuration(folder, name, server(port)))
  const child = spawn('nginx', ['-p', folder, '-c', file, '-e', 'stderr'], { stdio: 'inherit' })
  return { port, [Symbol.asyncDispose]: () => stop(child) }
}

function configuration(folder: string, name: string, server: string): string {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const folders = kinds.map((kind) => `${kind}_temp_path ${join(folder, `${name}-${kind}`)};`)
  return `
    daemon off;
    worker_processes 1;
    pid ${join(folder, `${name}.pid`)};
    events { worker_connections 1024; }
    http {
      access_log off;
      keepalive_requests 1000000000;
      ${folders.join('\n      ')}
      ${server}
    }\n`
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill()
  await ended
}
