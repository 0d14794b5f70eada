package main

var sink, zero int

//go:noinline
func callee(x int) int { return x * 3 }

// The second case goes on where the first one's call returns to, by way of the jump table alone.
//
//go:noinline
func entered(x int, k int) int {
	switch k {
	case 0:
		x = callee(x)
	case 1:
	case 2:
		return x + 20
	case 3:
		return x - 31
	case 4:
		return x * 47
	case 5:
		return x ^ 5
	case 6:
		return x << 6
	case 7:
		return x | 77
	case 8:
		return x & 8
	default:
		return -1
	}
	if x > 7 {
		sink++
	}
	return x
}

// Nothing but the call leads to what follows it, though there is a jump table.
//
//go:noinline
func apart(x int, k int) int {
	switch k {
	case 0:
		x = callee(x)
		if x > 7 {
			sink++
		}
	case 1:
		return x + 10
	case 2:
		return x + 20
	case 3:
		return x - 31
	case 4:
		return x * 47
	case 5:
		return x ^ 5
	case 6:
		return x << 6
	case 7:
		return x | 77
	case 8:
		return x & 8
	default:
		return -1
	}
	return x
}

func main() { println(entered(zero, zero), apart(zero, zero)) }
