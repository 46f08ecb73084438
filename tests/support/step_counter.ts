/**
 * Counts the items of lists, maps and sets that a piece of work walks through, and the listeners of
 * events beside which it puts others: how much work grows with its input, without a clock.
 */

type Method = (this: unknown, ...args: unknown[]) => unknown;
type Owner = Record<PropertyKey, Method>;

/** Methods of lists that call a function for each item until they know the answer. */
const LIST_METHODS = [
  "every",
  "filter",
  "find",
  "findIndex",
  "findLast",
  "flatMap",
  "forEach",
  "map",
  "reduce",
  "some",
];

/** @returns what the work comes to, and the steps that it took */
export async function countSteps<T>(work: () => Promise<T>): Promise<{ result: T; steps: number }> {
  let steps = 0;
  using patches = new DisposableStack();
  const patch = (owner: object, name: string, patched: (original: Method) => Method) => {
    const methods = owner as Owner;
    const original = methods[name]!;
    methods[name] = patched(original);
    patches.defer(() => void (methods[name] = original));
  };
  const callbacks = (original: Method): Method =>
    function (callback, ...rest) {
      const counted: Method = function (...args) {
        steps++;
        return (callback as Method).apply(this, args);
      };
      return original.call(this, counted, ...rest);
    };
  for (const name of LIST_METHODS) patch(Array.prototype, name, callbacks);
  for (const owner of [Map.prototype, Set.prototype]) patch(owner, "forEach", callbacks);
  for (const name of ["indexOf", "includes"]) {
    patch(Array.prototype, name, (original) =>
      function (...args) {
        const found = original.apply(this, args);
        steps += typeof found === "number" && found >= 0 ? found + 1 : (this as unknown[]).length;
        return found;
      });
  }
  for (const collection of [[], new Map(), new Set()]) {
    patch(
      Object.getPrototypeOf(collection[Symbol.iterator]()),
      "next",
      (original) =>
        function (...args) {
          steps++;
          return original.apply(this, args);
        },
    );
  }
  const listeners = new WeakMap<object, number>();
  const change = (target: object, by: number) => {
    const others = listeners.get(target) ?? 0;
    steps += others;
    listeners.set(target, Math.max(0, others + by));
  };
  patch(EventTarget.prototype, "addEventListener", (original) =>
    function (...args) {
      change(this as object, 1);
      const { signal } = (args[2] ?? {}) as AddEventListenerOptions;
      if (signal) original.call(signal, "abort", () => change(this as object, -1), { once: true });
      return original.apply(this, args);
    });
  patch(EventTarget.prototype, "removeEventListener", (original) =>
    function (...args) {
      change(this as object, -1);
      return original.apply(this, args);
    });
  return { result: await work(), steps };
}
