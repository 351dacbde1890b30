import type { DeploymentPosition, StreamPosition } from '../../entities/runtime-log-viewer.js'

/** How far a stream, named as `container/STDOUT`, has been shown to who stands at a place. */
export function positionIn({ from, shown }: DeploymentPosition, key: string): StreamPosition {
  return shown[key] ?? { at: from ?? '', seen: 0 }
}

/** Whether who has been shown a stream as far as `reached` has been shown it as far as `position`. */
export function isUpTo(reached: StreamPosition, { at, seen }: StreamPosition): boolean {
  return at < reached.at || (at === reached.at && seen <= reached.seen)
}
