// How an item ends when it does not end with values. Any other thrown value is a crash of the plugin.

export class Failure extends Error {
  constructor(code, message, options = {}) {
    super(message);
    this.name = "Failure";
    this.code = code;
    this.detail = options.detail;
    this.extra = options.extra;
  }
}

export class RetryLater extends Error {
  constructor(code, message, options = {}) {
    super(message);
    this.name = "RetryLater";
    this.code = code;
    this.detail = options.detail;
    this.extra = options.extra;
    this.afterMs = options.afterMs;
  }
}

export class Skip extends Error {
  constructor(reason) {
    super(reason);
    this.name = "Skip";
  }
}
