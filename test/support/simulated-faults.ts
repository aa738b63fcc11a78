/**
 * Errors and faults of the simulated disk: what an operation fails with, which call fails, and the two ways in which
 * everything ends at once (power cut, kill).
 *
 * A plan counts the calls that match it from the moment it is made. Nothing here draws random numbers: a test that
 * wants a random fault draws `nth` itself, so that a seed replays.
 */
import { VarveError } from '../../host/errors/varve-error.ts';

/** The operations that are counted, and that can fail. Blocking and non-blocking syncs share a name. */
export const OPERATIONS = [
  'createDirectory', 'list', 'open', 'create', 'exists', 'rename', 'remove', 'removeDirectory', 'syncDirectory',
  'lock',
  'size', 'allocate', 'truncate', 'read', 'write', 'sync', 'map', 'view',
] as const;
export type Operation = (typeof OPERATIONS)[number];

/** Counted, but these never fail. */
export type QuietOperation = 'freeBytes' | 'populate' | 'advise' | 'discard' | 'unmap' | 'close' | 'release' | 'wake' | 'wait';

/** How an operation can fail: with an errno, or by taking the machine or the process down just before it. */
export type Fault = 'EIO' | 'ENOSPC' | 'EDQUOT' | 'EFBIG' | 'EACCES' | 'EROFS' | 'EMFILE' | 'ENOMEM'
  | 'power-cut' | 'kill';

/** Which call fails, and how. */
export interface FaultPlan {
  /** Only calls of these operations count; all of `OPERATIONS` where not given. */
  readonly operation?: Operation | readonly Operation[];
  /** Only calls on paths that match count. */
  readonly path?: RegExp;
  /** The first call that fails, counted from now: 1, the next one, where not given. */
  readonly nth?: number;
  /** How many calls fail from there on: 1 where not given, `Infinity` for all. */
  readonly times?: number;
  readonly error: Fault;
  /**
   * For a write or a read: the bytes that it moves before it fails; for an allocation: the bytes that get blocks; 0
   * where not given.
   */
  readonly written?: number;
  /** For a file's sync: whether its pages count as clean afterwards (Linux does that, the default) or stay dirty. */
  readonly dirtyPages?: 'dropped' | 'kept';
}

/** A plan at work. */
export interface PlannedFault {
  /** Calls that failed by it. */
  readonly fired: number;
  cancel(): void;
}

/** What every call of a process meets after its end. */
export class SimulatedPowerCut extends Error {
  /** Whether the machine or only the process ended. */
  readonly reason: 'power-cut' | 'kill';

  constructor(reason: 'power-cut' | 'kill') {
    super(reason === 'kill' ? 'the simulated process was killed' : 'the simulated machine has no power');
    this.name = 'SimulatedPowerCut';
    this.reason = reason;
  }
}

/** Something that would have killed a real process or lost its stores, or a test that asks too much of the disk. */
export class SimulatedViolation extends Error {
  constructor(breaches: readonly string[]) {
    super(breaches.join('; '));
    this.name = 'SimulatedViolation';
  }
}

/** Operations that can do a part of their work before they fail. */
const PARTIAL: ReadonlySet<Operation> = new Set(['read', 'write', 'allocate']);
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** The error that a failing system call becomes, by the rules of the `Storage` interface. */
export function systemError(syscall: string, errno: string, path: string): VarveError {
  const code = FULL.has(errno) ? 'ERR_VARVE_DISK_FULL' : errno === 'ENOENT' ? 'ERR_VARVE_NOT_FOUND' : 'ERR_VARVE_IO';
  return new VarveError(code, `${syscall} ${path}: ${errno} (simulated)`, { path, syscall, errno });
}

/** The error for a caller that broke a rule of the `Storage` interface. */
export function misuse(message: string, details: Record<string, unknown>): VarveError {
  return new VarveError('ERR_VARVE_INTERNAL', `${message} (simulated)`, details);
}

class Plan implements PlannedFault {
  readonly plan: FaultPlan;
  fired = 0;
  private seen = 0;
  private cancelled = false;

  constructor(plan: FaultPlan) {
    this.plan = plan;
  }

  /** Counts a call; true when it has to fail. */
  strikes(operation: Operation, path: string): boolean {
    const { plan } = this;
    if (this.cancelled) return false;
    if (plan.operation !== undefined && ![plan.operation].flat().includes(operation)) return false;
    if (plan.path !== undefined && !plan.path.test(path)) return false;
    this.seen += 1;
    const nth = plan.nth ?? 1;
    if (this.seen < nth || this.seen >= nth + (plan.times ?? 1)) return false;
    this.fired += 1;
    return true;
  }

  cancel(): void {
    this.cancelled = true;
  }
}

/** The plans of one disk, and the count of its calls. */
export class Faults {
  /** Calls so far, by operation. */
  readonly counts = new Map<Operation | QuietOperation, number>();
  /** Faults so far, by kind; of those that struck after a part of the work, once more under a name of their own. */
  readonly injected = new Map<Fault | 'short call', number>();
  private plans: Plan[] = [];

  add(plan: FaultPlan): PlannedFault {
    const added = new Plan(plan);
    this.plans.push(added);
    return added;
  }

  clear(): void {
    this.plans = [];
  }

  count(operation: Operation | QuietOperation): void {
    this.counts.set(operation, (this.counts.get(operation) ?? 0) + 1);
  }

  /** Counts a call for every plan; returns the plan that makes it fail, if any. */
  next(operation: Operation, path: string): FaultPlan | undefined {
    let struck: FaultPlan | undefined;
    for (const plan of this.plans) if (plan.strikes(operation, path)) struck ??= plan.plan;
    if (struck !== undefined) this.note(struck.error);
    if (PARTIAL.has(operation) && (struck?.written ?? 0) > 0) this.note('short call');
    return struck;
  }

  private note(kind: Fault | 'short call'): void {
    this.injected.set(kind, (this.injected.get(kind) ?? 0) + 1);
  }
}
