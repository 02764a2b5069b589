module github.com/interlock-security/interlock/bench

go 1.26.0

require github.com/interlock-security/interlock v0.0.0

replace github.com/interlock-security/interlock => ../
