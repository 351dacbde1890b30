import type { ContainerCreateOptions } from 'dockerode'
import { type ContainerRequest, LOG_FILE_BYTES } from './docker.js'

/** The least that images which start as root and drop to another user need. */
const CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'NET_BIND_SERVICE', 'SETGID', 'SETUID']

/**
 * What a container is created with, made from nothing: no option of a user's reaches the engine except the three
 * limits. Pure, so that a test holds the whole of it.
 */
export function containerOptions(request: ContainerRequest, network: string): ContainerCreateOptions {
  return {
    name: request.name,
    Image: request.image,
    Env: [...request.env],
    ...(request.command ? { Cmd: [...request.command] } : {}),
    Labels: { ...request.labels },
    HostConfig: {
      NetworkMode: network,
      // While it is being checked, an end must be seen and not repaired; afterwards it is kept running.
      RestartPolicy: { Name: 'no' },
      // PID 1 that ignores SIGTERM would take the whole grace time at each stop.
      Init: true,
      Privileged: false,
      CapDrop: ['ALL'],
      CapAdd: [...CAPABILITIES],
      SecurityOpt: ['no-new-privileges:true'],
      Memory: request.memoryBytes,
      MemorySwap: request.memoryBytes,
      NanoCpus: Math.round(request.cpus * 1e9),
      PidsLimit: request.pids,
      OomScoreAdj: 500,
      IpcMode: 'private',
      Binds: [],
      PortBindings: {},
      Devices: [],
      LogConfig: { Type: 'json-file', Config: { 'max-size': `${LOG_FILE_BYTES}`, 'max-file': '3' } },
    },
  }
}
